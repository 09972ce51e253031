"""The sentence about a fusion that is not compared with its branches."""

import pytest
from tiny import mixed_table, write_experiment

from mmtrain import config
from mmtrain.pipeline.checks.requirements import unguarded_fusion

TREE = """
columns: {age: {role: numeric}, note: {role: text}, sick: {role: target, task: binary}}
"""


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], True),
        (["fusion.units=[]"], True),
        (["fusion.auxiliary=1"], False),
        (["fusion.auxiliary=0"], False),
        (["evaluation.baselines=[single_branch]"], False),
        (["columns.note.role=categorical"], False),
    ],
)
def test_a_fusion_of_branches_without_a_guard_is_told(tmp_path, overrides, told):
    mixed_table(tmp_path, 20)
    sentence = unguarded_fusion(config.load(write_experiment(tmp_path / "a.yaml", TREE), overrides))
    assert sentence.startswith("note: nothing compares the fusion with its best branch alone.") == told
