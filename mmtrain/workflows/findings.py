"""What `inspect-data` finds wrong with the data of an experiment: every family of findings is called here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmtrain.columns import Column, Group, Split
from mmtrain.columns.bookkeeping import PARTS
from mmtrain.config import Experiment
from mmtrain.data.findings import Finding
from mmtrain.data.findings.cohort import LEFT_OUT, Cohort
from mmtrain.data.findings.finding import by_level
from mmtrain.data.table import PIECE, headers_of
from mmtrain.data.table_file import TableFile
from mmtrain.targets import Target
from mmtrain.workflows.examine import Examined


def all_findings(experiment: Experiment, file: TableFile, tried: Examined, rows: int) -> tuple[Finding, ...]:
    """Everything that was found, the worst first; `rows` are those of the file."""
    cohort = cohort_of(experiment, file, tried, rows)  # noqa: F841
    found: list[Finding] = []
    # found += table_findings(...)
    # found += picture_findings(experiment, file, cohort, progress=...)
    return by_level(found)
