"""What others printed after the four papers: LLP test scores that nobody computed here.

``package_data/later_work.csv`` has one row a method. None of the rows was checked against the
method's own paper; each names where it was read.
"""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from avvp.metrics import METRICS

SOURCES: dict[str, str] = {
    "dhhn": "figure `figures/performance.png` of the repository anonyUsr22/DHHN",
    "jomold": "figure `static/results.png` of the repository MCG-NJU/JoMoLD",
    "uwav": "arXiv 2505.09615 (UWAV)",
    "uwav_a6": "arXiv 2505.09615 (UWAV), Table A6",
}
"""Where a row was read."""


class LaterWork(NamedTuple):
    """A method that came after the four papers."""

    method: str
    venue: str
    """Empty where the source does not say."""
    features: str
    """Other features than the released ones; empty: those."""
    source: str
    """A key of :data:`SOURCES`."""
    ten: dict[str, float]
    """The ten numbers, in per cent, by :data:`avvp.metrics.METRICS`."""

    @property
    def title(self) -> str:
        """The method, and its features where they are others."""
        return f"{self.method}, {self.features}" if self.features else self.method


@cache
def later_work() -> tuple[LaterWork, ...]:
    """Every row, in the order of the file: of audio-visual segment-level scores, roughly rising."""
    text = (files("avvp") / "package_data" / "later_work.csv").read_text(encoding="utf-8")
    return tuple(
        LaterWork(
            *(record[name] for name in ("method", "venue", "features", "source")),
            {key: float(record[key]) for key in METRICS},
        )
        for record in csv.DictReader(text.splitlines())
    )
