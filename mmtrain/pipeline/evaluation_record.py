"""Every look at a part or at another table is written down in the run: how often the test part was scored is part of its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.artifacts import run_folder
from mmtrain.artifacts.run_folder import Run
from mmtrain.data.encode import Array
from mmtrain.data.splits.split_file import read_split
from mmtrain.data.tables.table import Table
from mmtrain.errors import listed
from mmtrain.splits.plan import USE_NAMED, USES

UNFINISHED = {
    "running": "The training of this run has not ended, or was killed; its weights may still become better.",
    "interrupted": "The training of this run was interrupted; the weights are those of its best epoch so far.",
    "failed": "The training of this run failed; the weights are those of its best epoch before.",
}
"""What is remarked of a run in such a state."""
NAMED_ROWS = "rows"
"""What explanations of rows that were named are called, or end in."""


def record_evaluation(run: Run, table: Table, rows: Array, part: str | None) -> list[dict[str, Any]]:
    """Record that `rows` of `table` are looked at, as `part` or, with None, as another table; all looks, this one last."""
    look: dict[str, Any] = {
        "part": part,
        "when": run_folder.now(),
        "rows": len(rows),
        "table": table.path.name,
        "path": str(table.path),
        "sha256": table.sha256,
    }
    if part is None and look["sha256"] == run.read_json("data.json")["sha256"]:
        split = read_split(run / "split.csv")
        look["rows_of"] = {name: int(np.isin(table.rows, split.rows[rows_of]).sum()) for name, rows_of in split.plan.holdout.items()}

    def add(facts: dict[str, Any]) -> dict[str, Any]:
        before = facts.get("evaluations", [])
        label = part or other_label(table.path, look["sha256"], before)
        return {**facts, "evaluations": [*before, {**look, "part": label}]}

    looks: list[dict[str, Any]] = run.change("run.json", add)["evaluations"]
    return looks


def other_label(path: Path, sha256: str, looks: Sequence[Mapping[str, Any]]) -> str:
    """What the results for another table are called: `newer` of newer.csv.gz; `test_table` of test.csv, which is not the test part.

    Where another file, or another content, has the name already, it is numbered: `newer_2`.
    """
    stem = path.name.partition(".")[0] or "table"
    plain = stem.casefold()  # where Test.csv and test.csv are one file
    stem = f"{stem}_table" if plain in (*USE_NAMED, NAMED_ROWS) or plain.endswith(f"_{NAMED_ROWS}") else stem
    taken = {look["part"].casefold() for look in looks if look.get("sha256") != sha256 and "part" in look}
    labels = chain([stem], (f"{stem}_{number}" for number in count(2)))
    return next(label for label in labels if label.casefold() not in taken)


def remarks(run: Run, look: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reader of the scores has to know of the run and of the table."""
    found = []
    if not run.is_trained:
        found.append(UNFINISHED[run.state])
    if "rows_of" in look:
        parts = listed([f"{rows:,} {part}" for part, rows in look["rows_of"].items() if rows])
        seen = " This counts as a look at the test part." if look["rows_of"]["test"] else ""
        found.append(f"{look['table']} is the very table of the training; among the scored rows are {parts} rows.{seen}")
    elif look["part"] not in (*USES, name_of := look["table"].partition(".")[0], f"{name_of}_table"):
        found.append(f"Another table of the name {name_of} was scored before; the results for this one are called {look['part']}.")
    return tuple(found)
