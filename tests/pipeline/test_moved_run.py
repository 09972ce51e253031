"""Where the table and the images of a run are after a move."""

import pytest
from tiny import write_experiment

from mmtrain import config
from mmtrain.pipeline.prepare import Moved


@pytest.fixture
def experiment(tmp_path):
    """Of a run whose images folder is next to its table, in `old`."""
    columns = {"scan": {"role": "image", "size": [8, 8]}, "y": {"role": "target", "task": "binary"}}
    (tmp_path / "old" / "scans").mkdir(parents=True)
    tree = {"data": {"images": "scans"}, "columns": columns}
    return config.load(write_experiment(tmp_path / "old" / "a.yaml", tree))


@pytest.mark.parametrize(
    ("old_is_there", "table", "images", "expected"),
    [
        (True, None, None, "old/scans"),
        (True, "new/table.csv", None, "old/scans"),
        (False, "new/table.csv", None, "new/scans"),
        (False, "new/table.csv", "elsewhere", "elsewhere"),
        (False, None, None, "old/scans"),
    ],
)
def test_images_that_are_gone_are_expected_next_to_the_moved_table(tmp_path, experiment, old_is_there, table, images, expected):
    """So that a message about their folder names one where the user would look."""
    if not old_is_there:
        (tmp_path / "old" / "scans").rmdir()
    moved = Moved(table and tmp_path / table, images and tmp_path / images).applied(experiment)
    assert moved.data.images == tmp_path / expected
    assert moved.data.table == tmp_path / (table or "old/table.csv")
