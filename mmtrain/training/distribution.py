"""Where the losses and gradients of one step come together: on one device, they are there already."""

from __future__ import annotations

from typing import Any, Protocol


class Strategy(Protocol):
    """Sums what the workers of a training have computed from their shares of a batch.

    Used as a collective only: variables and the optimizer are ordinary ones, so that clipping, accumulation and averaging act on the
    gradients of the whole batch, and several workers train as one process does.
    """

    def sum(self, losses: dict[str, Any], gradients: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return the losses and gradients of the whole batch, the same on every worker."""
        ...


class SingleDevice:
    """One worker, which has the whole batch."""

    def sum(self, losses: dict[str, Any], gradients: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return them unchanged."""
        return losses, gradients
