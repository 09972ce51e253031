"""Encoded columns as a branch receives them: one by one, or all of a kind as a stack."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Generic, TypeVar

from mmtrain.input_layout import InputLayout
from mmtrain.specs import IndexSpec, Tensor, TensorSpec, VectorSpec

Spec = TypeVar("Spec", bound=TensorSpec)


@dataclass(frozen=True, eq=False)
class Input(Generic[Spec]):
    """One encoded column as a branch receives it."""

    tensor: Tensor
    """(batch, *spec.shape), of type `spec.dtype`."""
    present: Tensor | None
    """(batch, 1) float32, 0 where the column is absent; None where nothing can be absent while the branch is present."""
    spec: Spec

    def masked(self) -> Input[Spec]:
        """Return the input with the absent value of its kind wherever the column is absent; the spec may be another (`spec.mask`)."""
        if self.present is None:
            return self
        tensor, spec = self.spec.mask(self.tensor, self.present)
        return Input(tensor, None, spec)


class Inputs(Mapping[str, Input[Any]]):
    """The inputs of a branch by column; a column of a stack is cut out of it on access."""

    def __init__(self, layout: InputLayout, tensors: Mapping[str, Tensor], present: Mapping[str, Tensor], masked: Sequence[str]) -> None:
        """Take the tensors by input of `layout`, and the presence of those columns among `masked`, (batch, masked columns)."""
        self.layout, self.tensors, self.present, self.masked = layout, tensors, present, tuple(masked)
        self._columns: dict[str, Input[Any]] = {}

    def __getitem__(self, column: str) -> Input[Any]:
        if column not in self._columns:
            self._columns[column] = self._cut_out(column)
        return self._columns[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.specs)

    def __len__(self) -> int:
        return len(self.layout.specs)

    def masked_of(self, name: str) -> tuple[str, ...]:
        """Return the masked columns of an input, in the order of their presence."""
        return masked_of(self.layout, name, self.masked)

    def unread(self) -> list[str]:
        """Return the masked columns whose presence no layer reads: values under the mask would reach the output."""
        cuts = {column: one.present for column, one in self._columns.items() if one.present is not None}
        # A presence that was only cut up counts as read when a layer reads one of the cuts.
        whole = {name: _is_read(present, besides=list(cuts.values())) for name, present in self.present.items()}
        return [
            column for column in self.masked if not whole[self.layout.name_of(column)] and not (column in cuts and _is_read(cuts[column]))
        ]

    def _cut_out(self, column: str) -> Input[Any]:
        name, spec = self.layout.name_of(column), self.layout.specs[column]
        stack = self.layout.stack_of.get(column)
        if stack is None:
            return Input(self.tensors[name], self.present.get(name), spec)
        from mmtrain.layers.stacks import TakePlaces

        masked = self.masked_of(name)
        # (batch, 1) of this column, from (batch, masked columns of the stack)
        present = TakePlaces(places=[masked.index(column)])(self.present[name]) if column in masked else None
        return Input(TakePlaces(places=stack.values([column]))(self.tensors[name]), present, spec)


def masked_of(layout: InputLayout, name: str, masked: Collection[str]) -> tuple[str, ...]:
    """Return those of the masked columns that are in an input of a branch, in the order of its stack."""
    stacks = {stack.name: stack.columns for stack in layout.stacks}
    return tuple(column for column in stacks.get(name, (name,)) if column in masked)


def _is_read(tensor: Tensor, besides: Sequence[Tensor] = ()) -> bool:
    """Return True if a layer reads a tensor, other than those that made the tensors `besides` of it."""
    makers = {id(made._keras_history.operation) for made in besides}
    # Private in Keras: the nodes that take the output of the operation which made this tensor.
    return any(id(node.operation) not in makers for node in tensor._keras_history.operation._outbound_nodes)


@dataclass(frozen=True, eq=False)
class Stacked:
    """The inputs of a branch with all numbers in one tensor and all codes in another."""

    numbers: Tensor | None
    """(batch, sum of the widths of `number_specs`) float32; None without any."""
    number_specs: tuple[VectorSpec, ...]
    """Specs of the columns with numbers, in order."""
    codes: Tensor | None
    """(batch, len(code_specs)) int32; None without any."""
    code_specs: tuple[IndexSpec, ...]
    """Specs of the columns with codes, in order."""
    others: tuple[Input[Any], ...] = ()
    """Inputs of other kinds, masked."""

    @property
    def first_numbers(self) -> tuple[int, ...]:
        """Position of the first number of each column in `numbers`; flags and further numbers follow it."""
        ends = accumulate((spec.width for spec in self.number_specs), initial=0)
        return tuple(ends)[:-1]


def stacked(inputs: Mapping[str, Input[Any]]) -> Stacked:
    """Return the numbers and the codes of all columns, each as one tensor; absent columns are masked.

    A masked number is 0 where it is absent, and a flag of 1 follows it. The number of layers does not grow with that of columns.
    """
    numbers, number_specs = _stack_of(inputs, VectorSpec, flags=True)
    codes, code_specs = _stack_of(inputs, IndexSpec, flags=False)
    others = tuple(inputs[column].masked() for column, spec in specs_of(inputs).items() if not isinstance(spec, VectorSpec | IndexSpec))
    return Stacked(numbers, number_specs, codes, code_specs, others)


def specs_of(inputs: Mapping[str, Input[Any]]) -> Mapping[str, TensorSpec]:
    """Return the specs by column; nothing is cut out of a stack."""
    return inputs.layout.specs if isinstance(inputs, Inputs) else {column: one.spec for column, one in inputs.items()}


def _stack_of(inputs: Mapping[str, Input[Any]], kind: type[TensorSpec], *, flags: bool) -> tuple[Tensor | None, tuple[Any, ...]]:
    """Return the tensor of all columns of a kind and their specs, each one wider by its flag if it has one."""
    from mmtrain.layers.stacks import MaskStack

    # In the order of the layout, which sorts the columns of a stack.
    columns = sorted(column for column, spec in specs_of(inputs).items() if isinstance(spec, kind))
    if not columns:
        return None, ()
    specs: list[Any] = [specs_of(inputs)[column] for column in columns]
    # The stack is there already; a plain dict of inputs, as a test or a user passes, is put together.
    if isinstance(inputs, Inputs):
        name = inputs.layout.name_of(columns[0])
        tensor, present, masked = inputs.tensors[name], inputs.present.get(name), inputs.masked_of(name)
    else:
        presence = {column: inputs[column].present for column in columns if inputs[column].present is not None}
        tensor, present = _join([inputs[column].tensor for column in columns]), _join(list(presence.values()))
        masked = tuple(presence)
    if present is None:
        return tensor, tuple(specs)
    # Positions in the stack of the columns that can be absent.
    places = [columns.index(column) for column in masked]
    tensor = MaskStack(widths=[spec.shape[0] for spec in specs], masked=places, flags=flags)(tensor, present)
    for place in places if flags else ():
        specs[place] = replace(specs[place], width=specs[place].width + 1)
    return tensor, tuple(specs)


def _join(tensors: list[Tensor]) -> Tensor | None:
    from mmtrain.layers.stacks import SideBySide

    return SideBySide()(tensors) if len(tensors) > 1 else tensors[0] if tensors else None
