"""`mmtrain schema`."""

from __future__ import annotations

from mmtrain.cli.options import Code


def command(code: Code = None) -> None:
    """Print the JSON Schema of the experiment file; editors complete and check keys with it."""
    from mmtrain.cli.show import print_json
    from mmtrain.config import json_schema
    from mmtrain.workflows.code import import_code

    import_code(code)
    print_json(json_schema())
