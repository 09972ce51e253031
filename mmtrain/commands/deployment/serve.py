"""`mmtrain serve`: answer requests with trained runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts import runs
from mmtrain.data.images.store import Say
from mmtrain.errors import Problem, RunError, UsageError

if TYPE_CHECKING:
    from mmtrain.serving.served_model import Limits, ServedModel

NEEDED = ("fastapi", "uvicorn", "python_multipart")


@dataclass(frozen=True)
class ServeOptions:
    """Address, access and limits of a server; `limits` are fields of `Limits` that differ from its defaults."""

    host: str = "127.0.0.1"
    port: int = 8000
    key: str = ""
    reload_seconds: float = 10.0
    limits: dict[str, float | int | None] = field(default_factory=dict)


def serve(
    which: Sequence[str],
    options: ServeOptions,
    *,
    output: Path = Path("runs"),
    say: Say = lambda _: None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve runs, each a folder, a name (its latest run that is finished) or `name/number`; none is the latest run of all.

    Returns after SIGTERM or SIGINT, when what was in flight is answered. `ready` is called with the address.

    Raises:
        RunError: packages are missing, or a run is damaged or has no model.
        UsageError: there is no such run, two have one name, or the address is taken.

    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        what = f"the package {missing[0].replace('_', '-')} is not installed."
        raise RunError(Problem("mmtrain serve", what, "Run `pip install 'mmtrain[serve]'`."))
    from mmtrain.serving.http.access import Access
    from mmtrain.serving.http.answers import Server
    from mmtrain.serving.http.app import make_app
    from mmtrain.serving.http.server import address_of, listen, run
    from mmtrain.serving.metrics import Metrics
    from mmtrain.serving.served_model import Limits
    from mmtrain.system.memory import freeze_objects

    with listen(options.host, options.port) as bound:
        metrics, limits = Metrics(), Limits(**options.limits)  # type: ignore[arg-type]
        models = _models(which, output, limits, metrics, say)
        access = Access(options.key, limits.rate)
        # Also for an environment variable that was left empty.
        if not access.needs_key and not ip_address(bound.getsockname()[0]).is_loopback:
            say("note: everyone who reaches this address is answered. Set --api-key to ask for a key.")
        app = make_app(Server(models, limits, access, metrics), reload_seconds=options.reload_seconds, say=say)
        freeze_objects()
        ready(address_of(bound))
        run(app, bound)


def _models(which: Sequence[str], output: Path, limits: Limits, metrics: object, say: Say) -> dict[str, ServedModel]:
    """Open the runs by name."""
    from mmtrain.serving.served_model import ServedModel, newest_run

    names: dict[str, str] = {}
    for one in list(which) or [str(runs.find(None, output, group=True).folder)]:
        name = newest_run(one, output).read("run.json").name
        if name in names:
            raise UsageError(Problem(one, f"two of the runs are called {name!r}.", "Serve one of them."))
        names[name] = one
    models: dict[str, ServedModel] = {}
    # A model takes seconds to open, so that mistakes in later names are found first.
    for name, one in names.items():
        say(f"Opening {one}.")
        models[name] = ServedModel(name, one, output, limits, metrics)  # type: ignore[arg-type]
    return models
