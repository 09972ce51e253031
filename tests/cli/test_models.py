import json

from tiny_encoders import BERT, write_model
from typer.testing import CliRunner

from mmtrain.cli.app import app


def test_models_at_hand_are_listed_with_their_family_and_problems(tmp_path, monkeypatch):
    write_model(tmp_path / "small")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "model.safetensors").write_bytes(b"torn")
    write_model(tmp_path / "odd")
    (tmp_path / "odd" / "config.json").write_text(json.dumps({**BERT, "layer_norm_eps": []}))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("no weights")
    monkeypatch.setenv("MMTRAIN_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["models", "list", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    found = {one.pop("name"): one for one in document["models"] if one["path"].startswith(str(tmp_path))}
    assert set(found) == {"small", "odd", "torn"}
    small = found["small"]
    assert (small["kind"], small["family"], small["problem"]) == ("pieces", "bert", "")
    assert small["size"] == (tmp_path / "small" / "model.safetensors").stat().st_size
    # Four bytes a number, behind the table of the file.
    assert 0 < small["parameters"] * 4 < small["size"]
    assert found["torn"]["problem"] == "the file is damaged, or does not hold weights: it is shorter than eight bytes."
    assert found["odd"]["problem"].startswith("its config.json or its weights are not those of a bert: ")
    shown = CliRunner().invoke(app, ["models", "list"]).output
    assert "bert" in shown and f"{tmp_path / 'torn'}: the file is damaged" in " ".join(shown.split())
