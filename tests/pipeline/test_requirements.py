"""Options of encoders that have no effect, or contradict each other: each is told with what to change."""

import pytest

from mmtrain.branches import Pretrained
from mmtrain.columns.pixels.image import Image
from mmtrain.columns.pixels.images import Images
from mmtrain.errors import ConfigError
from mmtrain.pipeline.checks import requirements


class Reader:
    """A branch without further options that reads one column."""

    columns = ("scan",)

    def __init__(self, pretrained):
        self.pretrained = lambda: pretrained

    def __iter__(self):
        return iter(())


CHANGED = {"augment": {"flip": "both"}}


@pytest.mark.parametrize(
    ("column", "views", "expected"),
    [
        (
            Image(column="scan", **CHANGED),
            0,
            "columns.scan.augment: a frozen encoder reads every image once, so that its random changes have no effect. "
            "Set `views: 4` in branches.net to have four versions of each, or remove it.",
        ),
        (
            Image(column="scan"),
            4,
            "branches.net.views: views are random changes by `augment` of the column 'scan', which changes nothing. "
            "Set columns.scan.augment, or remove `views`.",
        ),
        (
            Images(column="scan"),
            4,
            "branches.net.views: views are random changes by `augment` of the column 'scan', which changes nothing. "
            "Set columns.scan.augment, or remove `views`.",
        ),
        (
            Image(column="scan", encoder={"model": "some"}, **CHANGED),
            0,
            "columns.scan.augment: the encoder of the column reads every image once, so that its random changes have no effect. Remove it.",
        ),
    ],
    ids=["frozen", "unchanged", "several", "of the column"],
)
def test_views_and_random_changes_without_effect_are_told(monkeypatch, column, views, expected):
    monkeypatch.setattr(requirements, "_check_weights", lambda *_: [])
    pretrained = None if column.vector_encoder else Pretrained("some", views=views)
    with pytest.raises(ConfigError) as refused:
        requirements.check_encoders({"net": Reader(pretrained)}, {"scan": column}, lambda *path: ".".join(path))
    assert [str(problem) for problem in refused.value.problems] == [expected]
