"""Predictions of a teacher in the columns of its student, without a training."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pandas as pd

from mmtrain.artifacts.run_folder import Run
from mmtrain.pipeline.distillation import teacher as teachers
from mmtrain.pipeline.distillation.student import PREDICTIONS, read_teacher
from mmtrain.splits.plan import Partition
from mmtrain.targets.event_times.survival import SurvivalTarget


def survival(times):
    """A survival target as fitted to rows with these times, each of which ends with the event."""
    declared = SurvivalTarget(column="y", time="t", event="died", loss_weight=1.0)
    words = [str(time) for time in times]
    return declared.fit({"t": pd.Series(words, dtype="str"), "died": pd.Series(["1"] * len(words), dtype="str")}, "none")


def test_curves_of_a_teacher_with_folds_are_written_at_the_times_of_its_student(tmp_path, monkeypatch):
    """Each fold, and so the group, has the quantiles of its own rows, and the student those of all folds."""
    own, student = survival(range(1, 31)), survival(range(1, 41))
    assert own.edges != student.edges
    rows = np.arange(6)
    partition = Partition(train=rows[:4], validation=rows[4:], test=rows[:0], calibration=rows[:0])
    curve = np.linspace(1, 0.2, len(own.edges), dtype=np.float32)
    curves = np.tile(curve, (6, 1))
    table = MagicMock(rows=rows, ids=lambda known: [""] * len(known))
    table.__len__.return_value = 6
    monkeypatch.setattr(teachers, "predict_rows", lambda *arguments, **_: ({"y": curves[arguments[3]]}, []))
    monkeypatch.setattr(teachers, "costs_of", lambda *_: None)
    monkeypatch.setattr(teachers.Teacher, "trainings", [])
    monkeypatch.setattr(teachers.Teacher, "partition", partition)
    plan = SimpleNamespace(partitions=[partition])
    teacher = teachers.Teacher(Run(tmp_path), None, SimpleNamespace(targets={"y": own}), SimpleNamespace(table=table), plan)

    frame, _ = teacher.predict("mean", {"y": student}, print)

    frame.to_csv(tmp_path / PREDICTIONS, index=False)
    taught = read_teacher(Run(tmp_path), {"y": student}, table)["y"]
    np.testing.assert_allclose(taught, np.tile(np.interp(student.edges, own.edges, curve), (6, 1)), atol=1e-6)
