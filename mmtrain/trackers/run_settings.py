"""Content of the run folder for trackers: settings as flat parameters, the run above, and the identity of the run at the tracker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LOGGED_FILES = ("report.html", "config.yaml", "model_card.md")
"""Files of a finished run that trackers keep, if it has them."""


def flat_settings(folder: Path) -> dict[str, str]:
    """Return the settings of config.yaml by dotted key, and the versions of run.json; empty lists and maps are left out.

    Returns text: databases of experiments keep and compare parameters as such.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tree = yaml.load((folder / "config.yaml").read_text(encoding="utf-8"), loader)  # noqa: S506 (a safe loader)
    facts = read_record(folder / "run.json")
    tree["versions"] = {name: value for name, value in (facts.get("versions") or {}).items() if name in ("mmtrain", "tensorflow", "keras")}
    return dict(_flat(tree))


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{key}.{number}")
    elif value is not None and value != []:
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def run_above(folder: Path) -> Path | None:
    """Return the folder of the run that a run is a child of, `runs/scans/1` for `runs/scans/1/folds/0`; None for a main run."""
    above = folder.parent.parent
    return above if (above / "run.json").is_file() and folder.parent.name in ("folds", "seeds", "trials", "baselines") else None


def run_name(folder: Path) -> str:
    """Return `scans/1`, and `folds/0` for a child run."""
    return f"{folder.parent.name}/{folder.name}"


def epoch_scores(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Return the defined scores of each epoch in metrics.jsonl; empty without the file."""
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return [(line["epoch"], numbers_of(line)) for line in lines if line.get("step") is None]


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that are numbers, as floats, without the number of the epoch."""
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    return {name: float(value) for name, value in numbers.items() if name != "epoch"}


def read_record(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of the run; empty without the file."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return record


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON object into the run: the identity of the run at a tracker, by which later commands find it."""
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
