"""`mmtrain schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from mmtrain.cli.options import Code


def command(
    code: Code = None,
    as_json: Annotated[bool, typer.Option("--json", help="Accepted for consistency: the schema is always JSON.")] = False,  # noqa: ARG001
) -> None:
    """Print the JSON Schema of the experiment file, with which editors complete and check keys.

    Example: `mmtrain schema > mmtrain.schema.json`
    """
    from mmtrain.cli.views.console import print_json
    from mmtrain.config import json_schema
    from mmtrain.system.user_code import import_code

    import_code(code)
    print_json(json_schema())
