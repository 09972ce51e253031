"""One trained run with a column of every role, for all tests of this folder; they run in one process (`SHARING` in tests/conftest.py)."""

import pytest
from tiny import paint, write_experiment, write_table
from tiny_serving import CONFIG, Served, cells


@pytest.fixture(scope="session")
def clinic(tmp_path_factory, tensorflow):
    """The folder of a trained run."""
    from mmtrain.commands.fit import fit

    folder = tmp_path_factory.mktemp("clinic")
    for number in range(20):
        paint(folder / "scans" / f"{number}.png", 10 * number)
    write_table(folder / "table.csv", [cells(row) for row in range(120)])
    fit(write_experiment(folder / "clinic.yaml", CONFIG), output=folder / "runs")
    return folder


@pytest.fixture(scope="session")
def served(clinic):
    """A server of the run."""
    from mmtrain.serving.http.access import Access
    from mmtrain.serving.metrics import Metrics
    from mmtrain.serving.served_model import Limits, ServedModel

    limits, metrics = Limits(max_bytes=100_000, max_rows=30, seconds=120), Metrics()
    model = ServedModel("clinic", "clinic", clinic / "runs", limits, metrics)
    served = Served({"clinic": model}, limits, Access(), metrics)
    yield served
    served.close()


@pytest.fixture(scope="session")
def predictor(served):
    """The predictor of the run that is served."""
    return served.server.model().predictor
