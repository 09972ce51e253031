"""`mmtrain report`."""

from __future__ import annotations

from pathlib import Path

from mmtrain.cli.options import Code, Json, Output, Run


def command(run: Run = None, output: Output = Path("runs"), code: Code = None, as_json: Json = False) -> None:
    """Write the report of a run again from the files in its folder; this also finishes a run that was killed while writing it.

    Example: `mmtrain report clinic/3`
    """
    from mmtrain.cli.views.console import out, print_json
    from mmtrain.commands.report import report
    from mmtrain.system.user_code import import_code

    import_code(code)
    page = report(run, output=output)
    if as_json:
        print_json({"run": str(page.parent), "report": str(page)})
        return
    out().print(str(page), soft_wrap=True, markup=False)
