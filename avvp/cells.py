"""What cells of the chapters show besides the book's result tables and figures: frames and code."""

import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from IPython.display import Markdown

from avvp.errors import AvvpError
from avvp.experiments import REGISTRY
from avvp.tables import Drawn


def show(
    rows: pd.DataFrame | Sequence[Mapping[str, object]], floats: object = ".1f", *, on: str = ""
) -> Markdown:
    """A table of numbers and text.

    Args:
        rows: a frame, or one mapping a row.
        floats: the format of what is no whole number, or a sequence with one a column. Thousands
            get commas, but in a column of years, and what rounds to zero has no sign.
        on: what the numbers were measured on, below the table: "simulated LLP, full, 5 seeds".
    """
    # As objects, so that whole numbers stay whole.
    table = pd.DataFrame(rows).astype(object)
    formats = [floats] * table.shape[1] if isinstance(floats, str) else floats
    told = table.to_markdown(
        index=False,
        floatfmt=[f"z,{form}" for form in formats],
        intfmt=["" if "year" in str(name).lower() else "," for name in table],
    )
    return Markdown(told + _below(on))


def show_text(
    rows: pd.DataFrame | Sequence[Mapping[str, object]], right: int = 0, *, on: str = ""
) -> Markdown:
    """A table of finished text, as it stands; the last ``right`` columns are flushed right.

    Args:
        rows, on: see :func:`show`.
        right: how many columns.
    """
    table = pd.DataFrame(rows)
    align = ["left"] * (table.shape[1] - right) + ["right"] * right
    told = table.to_markdown(index=False, disable_numparse=True, colalign=align)
    return Markdown(told + _below(on))


def measured_on(drawn: Mapping[str, Drawn], names: Iterable[str]) -> str:
    """What runs a table is made of, for ``on`` of :func:`show`; if several kinds, whose is which.

    Args:
        drawn: the runs of each experiment.
        names: of the experiments that the table has.
    """
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(drawn[name].told, []).append(REGISTRY[name].label)
    if len(kinds) < 2:
        return "".join(kinds)
    return "; ".join(f"{told} ({', '.join(labels)})" for told, labels in kinds.items())


def _below(on: str) -> str:
    return f"\n\n*Measured on {on}.*" if on else ""


def takeaways(said: Sequence[str]) -> Markdown:
    """What a section concludes, a point a line; a single point is a paragraph."""
    return Markdown(said[0] if len(said) == 1 else "\n".join(f"- {point}" for point in said))


def code(*objects: object) -> Markdown:
    """The source of functions and methods, as it stands in the package."""
    sources = (textwrap.dedent(inspect.getsource(item)) for item in objects)
    return Markdown("```python\n" + "\n".join(sources) + "```")


def agreement(compared: Sequence[tuple[str, float, float]]) -> Markdown:
    """The largest differences from a release, beside what is allowed.

    Args:
        compared: what, its largest difference, and how much of that is allowed.

    Raises:
        AvvpError: one of them does not agree.
    """
    for what, found, allowed in compared:
        if not found < allowed:
            raise AvvpError(
                f"{what} differ from the release by {found:.1e}; {allowed:.0e} is allowed."
            )
    return show_text(
        [
            {"compared": what, "largest difference": f"{found:.1e}", "allowed": f"{allowed:.0e}"}
            for what, found, allowed in compared
        ],
        right=2,
    )


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``, for sentences that are made of results; ``a, b; c and d`` of "a, b"."""
    *first, last = parts or [""]
    between = "; " if any("," in part for part in parts) else ", "
    return f"{between.join(first)} and {last}" if first else last
