"""`make bench` starts every script, but for those that say why not."""

import ast
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_script_is_started_or_says_why_not():
    tree = ast.parse((BENCHMARKS / "all.py").read_text(encoding="utf-8"))
    values = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    started, apart = (list(ast.literal_eval(values[name])) for name in ("SCRIPTS", "APART"))
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    assert sorted([*started, *apart]) == sorted(scripts - {"all"})
