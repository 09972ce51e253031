"""The most anonymous memory that this process holds in some stretch of work, sampled by a thread."""

from __future__ import annotations

import threading
import time

from mmtrain.system.memory import anonymous_memory

EVERY = 0.005
"""Seconds between two samples."""


class PeakMemory:
    """Samples from its making on; figures are bytes above the beginning."""

    def __init__(self) -> None:
        self.base = self._most = anonymous_memory()
        self._lock = threading.Lock()
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while True:
            now = anonymous_memory()
            with self._lock:
                self._most = max(self._most, now)
            time.sleep(EVERY)

    def now(self) -> int:
        """What is held now; the peak is counted anew."""
        self.peak()
        return anonymous_memory() - self.base

    def peak(self) -> int:
        """The most since it was last asked."""
        now = anonymous_memory()
        with self._lock:
            most, self._most = max(self._most, now), now
        return most - self.base
