"""Landing (floor 4): what the ledger remembers beyond one generation: what it came from, how long its model takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import median

from hoasi.ledger import Ledger
from hoasi.records import Generation

LONGEST_CHAIN = 100
FEW = 3
"""So many results tell more of a model than its card."""

Reading = Callable[[], AbstractContextManager[Ledger | None]]
"""Opens the ledger for reading; None where nothing was ever asked for."""


class Past:
    """Looks back for one reply; a model's history is read once."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._usual: dict[tuple[str, str], float | None] = {}

    def chain(self, generation: Generation) -> list[str]:
        """What a generation was made from, and that from, nearest first."""
        chain: list[str] = []
        left = list(generation.planned.parents)
        with self._reading() as ledger:
            while ledger is not None and left and len(chain) < LONGEST_CHAIN:
                chain.append(left.pop(0))
                left += [name for name in ledger.get(chain[-1:])[0].planned.parents if name not in chain]
        return chain

    def usual_s(self, generation: Generation) -> float:
        """Seconds that its model usually takes here: the median of its latest results, else what its card says."""
        key = generation.planned.provider, generation.planned.model
        if key not in self._usual:
            self._usual[key] = self._median_s(*key)
        usual_s = self._usual[key]
        return generation.planned.expected_s if usual_s is None else usual_s

    def left_s(self, generation: Generation) -> float:
        """Seconds that it will still take, if it takes as long as usual; never less than none."""
        at_work_s = time.time() - generation.submitted_at if generation.submitted_at else 0.0
        return max(0.0, round(self.usual_s(generation) - at_work_s, 1))

    def _median_s(self, provider: str, model: str) -> float | None:
        with self._reading() as ledger:
            durations = [] if ledger is None else ledger.durations(provider, model)
        return round(median(durations), 1) if len(durations) >= FEW else None
