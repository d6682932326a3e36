"""What the papers print: numbers, one cell a row of ``package_data/published.csv``, and the tables
and figures themselves, ``package_data/items.csv``.

``paper`` is ``mgn``, ``mgn_abstract``, ``mgn_supp``, ``ma`` or ``cross_modal``; ``table`` is
``Table 1`` and so on, or ``text`` for numbers in running text; ``row`` names the method and
``setting`` its variant (empty where the paper has none).
"""

import csv
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from avvp.errors import AvvpError


class Row(NamedTuple):
    """One row of one printed table."""

    paper: str
    table: str
    row: str
    setting: str = ""

    @property
    def in_words(self) -> str:
        """The row and its setting as a reader writes them: ``"MA (temperature 0.1)"``."""
        words = self.setting.replace("tau=", "temperature ")
        words = re.sub(r"refine=(\w+)", r"\1 labels refined", words)
        return f"{self.row} ({words})" if words else self.row


class Cell(NamedTuple):
    """One printed number. ``value`` is in ``unit``; ``note`` says what was unclear in print."""

    paper: str
    table: str
    row: str
    setting: str
    level: str
    metric: str
    value: float
    unit: str
    note: str

    @property
    def place(self) -> Row:
        """The printed row that the cell stands in."""
        return Row(self.paper, self.table, self.row, self.setting)

    @property
    def key(self) -> str:
        """``segment/audio`` and so on, as in :data:`avvp.metrics.METRICS`; else the metric."""
        return f"{self.level}/{self.metric}" if self.level else self.metric


@cache
def published_cells() -> tuple[Cell, ...]:
    """Every number of the papers, in the order of the file."""
    text = (files("avvp") / "package_data" / "published.csv").read_text(encoding="utf-8")
    return tuple(
        Cell(**(record | {"value": float(record["value"])}))
        for record in csv.DictReader(text.splitlines())
    )


def published_rows(paper: str | None = None, table: str | None = None) -> tuple[Row, ...]:
    """The printed rows (of one paper, of one table), each once, in the order of print."""
    return tuple(
        dict.fromkeys(
            cell.place
            for cell in published_cells()
            if paper in (None, cell.paper) and table in (None, cell.table)
        )
    )


def published(paper: str, table: str, row: str, setting: str = "") -> dict[str, float]:
    """The numbers of one printed row, by :attr:`Cell.key`.

    A score that the paper does not print has no key. F-scores are in per cent.

    Raises:
        AvvpError: there is no such paper, table, row or setting; the sentence lists what there is.
    """
    wanted = Row(paper, table, row, setting)
    cells = published_cells()
    for field in Row._fields:
        name = getattr(wanted, field)
        known = dict.fromkeys(getattr(cell, field) for cell in cells)
        cells = tuple(cell for cell in cells if getattr(cell, field) == name)
        if not cells:
            raise AvvpError(
                f"published.csv has no {field} {name!r} ({', '.join(wanted)}); "
                f"it has {', '.join(map(repr, known))}."
            )
    return {cell.key: cell.value for cell in cells}


class Item(NamedTuple):
    """A printed table or figure, and where this book regenerates it."""

    id: str
    """``MGN-T1``: the document and T or F, with the printed number."""
    paper: str
    place: str
    """``Table 1``, or the section of a figure."""
    what: str
    chapter: str
    """Name of the notebook, without ``.py``."""
    figures: tuple[str, ...]
    """Names of figures of the chapter; a table has none."""


@cache
def published_items() -> tuple[Item, ...]:
    """Every printed table and figure, in the order of the file."""
    text = (files("avvp") / "package_data" / "items.csv").read_text(encoding="utf-8")
    return tuple(
        Item(**(record | {"figures": tuple(record["figures"].split())}))
        for record in csv.DictReader(text.splitlines())
    )
