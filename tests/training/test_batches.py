"""Batches: every row in its order, gathered one ahead, and uniforms that follow from (seed, epoch, row) alone."""

import threading

import numpy as np
import pytest

from mmtrain.batches import Batches, sequential_batches
from mmtrain.data.arrays import Arrays
from mmtrain.data.counter_rng import epoch_permutation, mix_bits, uniform
from mmtrain.data.encoded_column import EncodedColumn
from mmtrain.data.images.prefetch import StoredImages
from mmtrain.data.images.store import ImageStore
from mmtrain.specs import VectorSpec


def arrays(rows=10):
    """Row i holds i everywhere: as a number, as the brightness of its image, as its answer and as its weight."""
    numbers = np.arange(rows)
    backwards = numbers.astype(np.uint8)[::-1, None, None, None]
    return Arrays(
        inputs={
            "x": EncodedColumn(numbers.astype(np.float32)[:, None], np.ones((rows, 1), np.float32)),
            "scan": ImageStore(StoredImages(backwards), numbers[::-1].copy()),
        },
        present={"x": np.ones((rows, 1), np.float32), "scan": (numbers % 2).astype(np.float32)[:, None]},
        targets={"y": numbers.astype(np.float64)},
        weights={"y": numbers.astype(np.float32)},
    )


ROWS = np.array([1, 3, 4, 6, 7, 8, 9])


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 7), (2, [2, 2, 2, 1]), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_every_row_is_visited_once_and_the_last_batch_may_be_smaller(size, sizes):
    batches = Batches(arrays(), ROWS, size, seed=5)
    found = list(batches.epoch(1))
    assert [len(batch.rows) for batch in found] == sizes
    assert len(batches) == len(sizes)
    assert np.concatenate([batch.rows for batch in found]).tolist() == epoch_permutation(5, 1, ROWS).tolist()


@pytest.mark.parametrize(("start", "calls"), [(0, [(2, 4), (1, 2), (1, 1)]), (1, [(2, 4), (1, 1)]), (2, [(1, 2), (1, 1)])])
def test_batches_too_few_for_another_call_come_one_by_one(start, calls):
    found = list(Batches(arrays(), ROWS, 2, seed=5, steps_per_call=2).epoch(1, start))
    assert [(batch.steps, len(batch.rows)) for batch in found] == calls
    assert np.concatenate([batch.rows for batch in found]).tolist() == epoch_permutation(5, 1, ROWS)[2 * start :].tolist()


def test_everything_in_a_batch_is_of_the_same_rows():
    seen = 0
    for batch in Batches(arrays(), ROWS, 3, seed=5).epoch(2):
        rows = batch.rows.tolist()
        seen += len(rows)
        assert set(batch.inputs) == {"x", "x_present", "scan", "scan_present"}
        assert batch.inputs["x"][:, 0].tolist() == rows
        assert batch.inputs["scan"][:, 0, 0, 0].tolist() == rows
        assert batch.inputs["scan_present"][:, 0].tolist() == [row % 2 for row in rows]
        assert batch.targets["y"].tolist() == rows
        assert batch.weights["y"].tolist() == rows
    assert seen == 7


def test_what_is_the_same_for_every_row_is_placed_once_for_each_size_of_a_batch():
    placed = []

    def place(values):
        placed.append(values)
        return values

    found = list(Batches(arrays(), ROWS, 3, seed=5, placed=place).epoch(1))
    assert [batch.inputs["x_present"][:, 0].tolist() for batch in found] == [[1, 1, 1], [1, 1, 1], [1]]
    assert found[0].inputs["x_present"] is found[1].inputs["x_present"]
    # Of three batches: x, scan, its presence, answers, weights and uniforms each; presence of x once for 3 rows and once for 1.
    assert len(placed) == 3 * 6 + 2


def test_an_epoch_can_be_entered_at_any_step():
    batches = Batches(arrays(), ROWS, 2, seed=5, uniform_columns=8)
    whole = list(batches.epoch(3))
    for start in range(5):
        rest = list(batches.epoch(3, start))
        assert [batch.rows.tolist() for batch in rest] == [batch.rows.tolist() for batch in whole[start:]]
        assert all((one.uniforms == other.uniforms).all() for one, other in zip(rest, whole[start:], strict=True))


def test_rows_in_order_are_those_asked_for_as_they_stand():
    found = list(sequential_batches(arrays(), np.array([9, 2, 2, 5, 0]), 2))
    assert [batch["x"][:, 0].tolist() for batch in found] == [[9, 2], [2, 5], [0]]
    assert list(sequential_batches(arrays(), np.array([], dtype=np.int64), 2)) == []


def test_an_error_while_gathering_reaches_the_caller():
    with pytest.raises(IndexError):
        list(sequential_batches(arrays(), np.array([1, 99]), 1))


def test_gathering_ends_when_the_caller_stops_early():
    before = threading.active_count()
    batches = Batches(arrays(), ROWS, 1, seed=5).epoch(1)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_uniforms_are_pinned():
    assert uniform(7, 1, np.array([0, 1, 2]), 2).tolist() == [
        [0.4377560019493103, 0.7901067733764648],
        [0.0894504189491272, 0.8168582320213318],
        [0.5853033065795898, 0.9370197653770447],
    ]
    assert uniform(7, 2, np.array([0]), 2).tolist() == [[0.5069350600242615, 0.4150870442390442]]
    assert uniform(8, 1, np.array([0]), 2).tolist() == [[0.12544220685958862, 0.0211372971534729]]
    # SplitMix64 of the seed 0 gives these first numbers, in every implementation.
    state = np.array([0, 0x9E3779B97F4A7C15], dtype=np.uint64)
    assert mix_bits(state).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize("size", [1, 2, 5, 64])
def test_uniforms_of_a_row_do_not_depend_on_the_batch(size):
    rows = np.arange(100)
    expected = uniform(3, 4, rows, 8)
    found = 0
    for batch in Batches(arrays(100), rows, size, seed=3, uniform_columns=8).epoch(4):
        assert (batch.uniforms == expected[batch.rows]).all()
        found += len(batch.rows)
    assert found == 100


@pytest.mark.parametrize(("seed", "epoch"), [(4, 4), (3, 5), (5, 3), (2**32 + 3, 4), (2**64 + 2, 4)])
def test_uniforms_are_others_for_another_seed_or_epoch(seed, epoch):
    rows = np.arange(1000)
    one, other = uniform(3, 4, rows, 8), uniform(seed, epoch, rows, 8)
    assert (one == other).mean() < 0.001
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05


def test_uniforms_are_uniform_and_independent():
    found = uniform(0, 1, np.arange(20_000), 8)
    assert found.shape == (20_000, 8)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.apply_along_axis(lambda column: np.histogram(column, bins=20, range=(0, 1))[0], 0, found)
    distances = ((counts - 1000) ** 2 / 1000).sum(axis=0)  # chi-squared with 19 degrees of freedom
    assert (distances < 50).all()
    between = np.corrcoef(found.T) - np.eye(8)
    assert np.abs(between).max() < 0.03
    following = [np.corrcoef(found[:-1, column], found[1:, column])[0, 1] for column in range(8)]
    assert np.abs(following).max() < 0.03


def test_uniforms_may_be_none():
    assert uniform(0, 1, np.arange(3), 0).shape == (3, 0)


def test_a_store_is_told_of_four_batches_before_they_are_gathered():
    told = []

    class Told(ImageStore):
        def expect(self, rows):
            told.append(("expect", rows.tolist()))

        def take(self, rows, out=None):
            told.append(("take", rows.tolist()))
            return super().take(rows, out)

    plain = arrays()
    scan = plain.inputs["scan"]
    list(sequential_batches(Arrays({"scan": Told(scan.pixels, scan.index)}, {"scan": plain.present["scan"]}, {}, {}), np.arange(6), 1))
    assert told == [
        *(("expect", [row]) for row in range(4)),
        ("take", [0]),
        ("expect", [4]),
        ("take", [1]),
        ("expect", [5]),
        *(("take", [row]) for row in range(2, 6)),
    ]


def test_another_source_of_a_column_takes_the_place_of_its_images():
    class Features:
        """What `RowSource` asks for, and nothing else: row i has the features i and -i."""

        nbytes = 0

        def expect(self, rows): ...

        def take(self, rows, out=None):
            return np.stack([rows, -rows], axis=1).astype(np.float32)

        def present(self, rows):
            return np.ones((len(rows), 1), np.float32)

    plain = arrays()
    replaced = plain.with_source("scan", Features(), VectorSpec(2))
    batch = next(iter(Batches(replaced, ROWS, 3, seed=5).epoch(1)))
    rows = batch.rows
    assert batch.inputs["scan"].tolist() == [[row, -row] for row in rows]
    assert batch.inputs["scan_present"].tolist() == [[row % 2] for row in rows]
    assert batch.inputs["x"].ravel().tolist() == batch.targets["y"].tolist() == rows.tolist()
    assert plain.take(np.array([3]))["scan"].shape == (1, 1, 1, 1)


@pytest.mark.parametrize(("size", "workers"), [(2, 2), (3, 2), (4, 3)])
@pytest.mark.parametrize("together", [1, 2])
def test_workers_share_the_rows_of_every_batch(size, workers, together):
    whole = list(Batches(arrays(), ROWS, size, seed=5, uniform_columns=2, steps_per_call=together).epoch(1))
    shares = [
        list(Batches(arrays(), ROWS, size, seed=5, uniform_columns=2, steps_per_call=together, worker=one, workers=workers).epoch(1))
        for one in range(workers)
    ]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        assert [part.total for part in parts] == [len(batch.rows)] * workers
        assert [part.steps for part in parts] == [batch.steps] * workers
        assert sum(part.share for part in parts) == pytest.approx(1.0)
        # Of one step after the other, the worker that is next takes the next row.
        for step, rows in enumerate(np.split(batch.rows, batch.steps)):
            for worker, part in enumerate(parts):
                own = np.split(part.rows, batch.steps)[step]
                assert part.share == pytest.approx(len(rows[worker::workers]) / len(rows))
                if part.share:
                    assert own.tolist() == rows[worker::workers].tolist()
                else:  # a worker without a row stands in with one, which does not count
                    assert len(own) == 1


def test_what_augmentation_draws_for_a_row_does_not_depend_on_the_workers():
    whole = {int(row): draws for batch in Batches(arrays(), ROWS, 3, seed=5, uniform_columns=2).epoch(1) for row, draws in drawn(batch)}
    shared = Batches(arrays(), ROWS, 3, seed=5, uniform_columns=2, worker=1, workers=2).epoch(1)
    assert all(whole[int(row)] == draws for batch in shared for row, draws in drawn(batch))


def drawn(batch):
    return zip(batch.rows, batch.uniforms.tolist(), strict=True)
