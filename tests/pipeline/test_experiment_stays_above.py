"""Below `pipeline/`, a function takes the section or the values it uses, not the whole experiment."""

import ast
from pathlib import Path

import mmtrain

ABOVE = ("api", "commands", "config", "pipeline")
REMAINING = {
    "evaluation/analyses/worst_predictions.py:inputs_of",
    "evaluation/analyses/worst_predictions.py:worst_predictions",
    "explanation/explainer.py:__init__",
    "explanation/hooks.py:hook_model",
    "model/assemble.py:_branches",
    "model/assemble.py:_fusion",
    "model/assemble.py:assemble",
    "model/assemble.py:masked_columns",
    "model/assemble.py:names_of_layers",
    "model/branch_features.py:__init__",
    "model/model_file.py:of_run",
    "model/summary.py:model_summary",
    "reports/report.py:write",
    "reports/report_data.py:ReportData",
    "reports/report_data.py:read",
    "training/autotune.py:TuningResult",
    "training/autotune.py:__init__",
    "training/autotune.py:_told",
    "training/autotune.py:attempt",
    "training/autotune.py:tune_settings",
    "training/batch_size.py:largest_batch_size",
    "training/parameter_groups.py:__init__",
    "training/step.py:__init__",
    "training/training_data.py:TrainingData",
}
"""Functions and fields that still take it, `module:name`; to be emptied, never to be extended."""


def takes_experiment(path):
    """Names of the functions and classes in a module that have a parameter or a field of the type `Experiment`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            annotated = [entry.annotation for entry in node.body if isinstance(entry, ast.AnnAssign)]
        elif isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            annotated = [argument.annotation for argument in arguments if argument.annotation is not None]
        else:
            continue
        words = {name.id for annotation in annotated for name in ast.walk(annotation) if isinstance(name, ast.Name)}
        if "Experiment" in words:
            yield node.name


def test_no_other_function_takes_the_whole_experiment():
    root = Path(mmtrain.__file__).parent
    modules = [path for path in sorted(root.rglob("*.py")) if path.relative_to(root).parts[0] not in ABOVE]
    assert len(modules) > 200
    found = {f"{path.relative_to(root).as_posix()}:{name}" for path in modules for name in takes_experiment(path)}
    assert sorted(found - REMAINING) == []


def test_the_search_finds_what_it_is_for(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("class A:\n    experiment: Experiment\n\ndef f(a, *, b: Experiment | None = None): ...\n\ndef g(a: Training): ...\n")
    assert list(takes_experiment(module)) == ["A", "f"]
