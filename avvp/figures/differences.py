"""How much differences between papers, code and annotations matter."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from avvp.differences import Effect

EVIDENCE_STYLES = {
    "trained anew": ("#0072b2", "o"),
    "same network": ("#d55e00", "s"),
    "printed numbers": ("#555555", "D"),
    "annotations of LLP": ("#009e73", "^"),
}
"""Colour and marker of what an effect was found in, of the palette of Okabe and Ito."""

LINEAR = 1.0
"""Points up to which the axis is linear; beyond it is logarithmic."""


def effect_sizes(
    effects: Sequence[tuple[str, Effect]], *, chance: float | None = None, title: str = ""
) -> Figure:
    """One line an effect, in points, in the given order from top to bottom.

    A filled marker has an interval, or needs none; an empty one compares single trainings.

    Args:
        effects: what it is of, and the effect, which has points.
        chance: half the width of a grey band: how far two trainings of one network lie apart.
        title: drawn above the axes.
    """
    figure, ax = plt.subplots(figsize=(7, 1.3 + 0.2 * len(effects)))
    if chance is not None:
        ax.axvspan(-chance, chance, color="#000000", alpha=0.09, linewidth=0)
    for evidence, (colour, marker) in EVIDENCE_STYLES.items():
        own = [(y, e) for y, (_, e) in enumerate(effects) if e.evidence == evidence]
        for single in (False, True):
            drawn = [(y, e) for y, e in own if e.single == single]
            if not drawn:
                continue
            several = "" if not single else ", one seed on a side"
            ax.errorbar(
                [e.points for _, e in drawn],
                [y for y, _ in drawn],
                xerr=[e.half_width or 0.0 for _, e in drawn],
                color=colour,
                marker=marker,
                markerfacecolor="white" if single else colour,
                linestyle="",
                markersize=4.5,
                elinewidth=1.2,
                label=f"{evidence}{several} ({len(drawn)})",
            )
    ax.axvline(0, color="#1a1a1a", linewidth=1)
    ax.set_xscale("symlog", linthresh=LINEAR, linscale=1.2)
    most = max((abs(e.points) + (e.half_width or 0.0) for _, e in effects), default=LINEAR)
    ticks = [tick for tick in (1, 5, 25, 125) if tick <= 1.2 * most]
    ax.margins(x=0.06)
    ticks = [-tick for tick in reversed(ticks)] + [0] + ticks
    ax.set_xticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    ax.minorticks_off()
    lines = range(len(effects))
    ax.set_yticks(lines, [name for name, _ in effects], fontsize=8)
    ax.set_ylim(len(effects) - 0.4, -0.6)
    values = ax.secondary_yaxis("right")
    values.set_yticks(lines, [_short(effect.points) for _, effect in effects], fontsize=8)
    values.tick_params(length=0)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("effect (points, logarithmic beyond 1)")
    ax.grid(axis="x")
    handles, labels = ax.get_legend_handles_labels()
    if chance is not None:
        handles.append(Patch(color="#000000", alpha=0.12, linewidth=0))
        labels.append(f"two seeds of one network, 95 % (±{chance:.1f})")
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
    return figure


def _short(points: float) -> str:
    return f"{points:+.1f}" if abs(points) >= 0.05 else f"{points:+.2f}"
