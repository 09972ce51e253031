"""Below `pipeline/`, a function takes the section or the values it uses, not the whole experiment."""

import ast

from tiny import nodes, package_trees

ABOVE = ("api", "commands", "config", "pipeline")


def takes_experiment(tree):
    """Names of the functions and classes of a module that have a parameter or a field of the type `Experiment`."""
    for node in nodes(tree):
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
    trees = {module: tree for module, tree in package_trees().items() if module.partition("/")[0] not in ABOVE}
    assert len(trees) > 200
    found = {f"{module}:{name}" for module, tree in trees.items() for name in takes_experiment(tree)}
    assert found == set()


def test_the_search_finds_what_it_is_for():
    text = "class A:\n    experiment: Experiment\n\ndef f(a, *, b: Experiment | None = None): ...\n\ndef g(a: Training): ...\n"
    assert list(takes_experiment(ast.parse(text))) == ["A", "f"]
