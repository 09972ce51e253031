"""Commands on a table of several files, with images in archives."""

import io
import tarfile

import pandas as pd
import pytest
from PIL import Image
from tiny import write_experiment

from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.init import init
from mmtrain.commands.predict import PredictOptions, predict

TREE = """
data: {table: parts}
columns:
  scan: {role: image, size: [8, 8]}
  x: {role: numeric}
  site: {role: categorical}
  y: {role: target, task: binary}
training: {epochs: 1, batch_size: 16}
"""


@pytest.fixture
def parts(tmp_path):
    rows = pd.DataFrame({"x": range(60), "site": [("b", "a", "c")[row // 20] for row in range(60)], "y": [row % 2 for row in range(60)]})
    rows["scan"] = [f"{row // 30}.tar#{row}.png" for row in range(60)]
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as archive:
            for row in range(30 * shard, 30 * shard + 30):
                buffer = io.BytesIO()
                Image.new("RGB", (8, 8), (200 * (row % 2), row, 0)).save(buffer, "PNG")
                entry = tarfile.TarInfo(f"{row}.png")
                entry.size = len(buffer.getvalue())
                archive.addfile(entry, io.BytesIO(buffer.getvalue()))
    for site, part in rows.groupby("site"):
        (tmp_path / "parts" / f"site={site}").mkdir(parents=True)
        part.drop(columns="site").to_parquet(tmp_path / "parts" / f"site={site}" / "part.parquet", index=False)
    rows.sort_values("site", kind="stable").to_csv(tmp_path / "whole.csv", index=False)
    return tmp_path / "parts"


def test_init_takes_a_folder_of_files_for_a_table(parts):
    done = init(parts, target="y", file=parts.parent / "e.yaml")
    assert 'table: "parts"' in (parts.parent / "e.yaml").read_text().replace("table: parts ", 'table: "parts"')
    assert {column.header for column in done.survey.columns} == {"x", "y", "scan", "site"}


@pytest.mark.slow
def test_a_folder_trains_scores_and_predicts_as_one_file(parts, tmp_path):
    run = fit(write_experiment(tmp_path / "e.yaml", TREE), output=tmp_path / "runs").run
    assert evaluate("e", output=tmp_path / "runs").part == "test"
    scored = {}
    for name, table in (("parts", parts), ("whole", tmp_path / "whole.csv"), ("pattern", tmp_path / "parts" / "*" / "*.parquet")):
        to = tmp_path / f"predicted-{name}.csv"
        predict(str(run.folder), table, PredictOptions(to, proba=True, images=tmp_path))
        scored[name] = to.read_text()
    assert len(set(scored.values())) == 1
    assert len(pd.read_csv(tmp_path / "predicted-parts.csv")) == 60
    assert evaluate("e", EvaluateOptions(table=parts), output=tmp_path / "runs").targets["y"].rows == 60
