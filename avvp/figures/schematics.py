"""Drawn networks: what flows where, with the equation of every box."""

from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from avvp.figures import MODALITY_COLOURS

_PALE = {"audio": "#FBE6D6", "visual": "#D9EAF5", "audio_visual": "#D9F0E8"}
_DARK = "#333333"
_HEIGHT = 0.62


def _box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    text: str,
    kind: str,
    *,
    height: float = _HEIGHT,
    dashed: bool = False,
    plain: bool = False,
) -> None:
    """A box centred on (x, y) in the colours of a modality.

    It is dashed for what is only released, and white if it is ``plain``.
    """
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor="white" if dashed or plain else _PALE[kind],
            edgecolor=MODALITY_COLOURS[kind],
            linestyle="--" if dashed else "-",
            linewidth=1.8 if dashed else 1.2,
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=8, linespacing=1.3)


def _arrow(ax: Axes, *points: tuple[float, float], dashed: bool = False) -> None:
    """A line along the points with a head at the last one."""
    style = {"color": _DARK, "linewidth": 1.1, "linestyle": "--" if dashed else "-"}
    for start, end in pairwise(points[:-1]):
        ax.plot(*zip(start, end, strict=True), solid_capstyle="butt", **style)
    head = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **style}
    ax.annotate("", xy=points[-1], xytext=points[-2], arrowprops=head)


def _panel(ax: Axes, bottom: float, top: float, text: str) -> None:
    ax.axhspan(bottom, top, color="#F2F2F2", zorder=-1)
    style = {"fontsize": 8.5, "weight": "bold", "color": "#555555", "linespacing": 1.4}
    ax.text(-0.22, (bottom + top) / 2, text, rotation=90, va="center", ha="center", **style)


def mgn_network(*, depths: tuple[int, int, int] = (3, 3, 6)) -> Figure:
    """MGN as released (after Figure 1, MGN): raw features and class tokens in, probabilities out.

    Sound is on the left, the image on the right. Dashed: the block that groups the audio segments
    onto the visual ones, which no equation of the paper mentions.

    Args:
        depths: encoder blocks of audio, of visual, and across modalities.
    """
    figure, ax = plt.subplots(figsize=(7, 7.6))
    ax.set(xlim=(-0.5, 7), ylim=(0, 9.4))
    ax.set_axis_off()
    up, down = _HEIGHT / 2, -_HEIGHT / 2
    tokens, segments = {"audio": 0.95, "visual": 6.05}, {"audio": 2.55, "visual": 4.45}
    names = {"audio": "a", "visual": "v"}
    _panel(ax, 3.94, 7.32, "class-aware unimodal grouping (CUG)")
    _panel(ax, 0.92, 3.02, "cross-modal\ngrouping (MCG)")
    rows = {"loss": 9.05, "in": 7.97, "encode": 6.77, "extra": 5.6, "group": 4.42, "g": 3.48}
    rows |= {"across": 2.5, "onto": 1.4, "out": 0.4}
    for index, (kind, name) in enumerate(names.items()):
        inner, outer = segments[kind], tokens[kind]
        middle = (inner + outer) / 2
        y = rows["loss"]
        _box(ax, outer, y, 1.7, "FC + softmax:\nclass loss (Eq. 12)", kind)
        _arrow(ax, (outer, rows["in"] + up), (outer, y + down))
        y = rows["in"]
        _box(ax, outer, y, 1.5, f"{kind} class\ntokens $c^{name}$ (C × D)", kind)
        _box(ax, inner, y, 1.5, f"{kind} segments\n$f^{{\\,{name}}}$ (T × D)", kind)
        y = rows["encode"]
        told = f"encoder of {depths[index]} blocks, all read all\n(Eqs. 7 and 8)"
        _box(ax, middle, y, 3.1, told, kind)
        for x in (outer, inner):
            _arrow(ax, (x, rows["in"] + down), (x, y + up))
        y = rows["group"]
        told = f"grouping: segments onto class tokens\nby the shares $A^{name}$ (Eqs. 9 to 11)"
        _box(ax, middle, y, 3.1, told, kind)
        _arrow(ax, (outer, rows["encode"] + down), (outer, y + up))
        ax.text(outer + 0.07, rows["extra"], f"$\\hat{{c}}^{name}$", fontsize=9, va="center")
        y = rows["g"]
        _box(ax, inner, y, 1.5, f"class-aware\n$g^{name}$ (C × D)", kind)
        _box(ax, outer, y, 1.3, f"FC + sigmoid:\n$p^{name}$ (Eq. 13)", kind)
        _arrow(ax, (inner, rows["group"] + down), (inner, y + up))
        side = 1 if kind == "audio" else -1
        _arrow(ax, (inner - side * 0.75, y), (outer + side * 0.65, y))
        _arrow(ax, (inner, y + down), (inner, rows["across"] + up))

    y = rows["extra"]
    extra = "extra block, as released:\naudio onto visual segments,\nhard if the rest is soft"
    _box(ax, segments["audio"], y, 1.86, extra, "audio", height=0.8, dashed=True)
    _arrow(ax, (segments["audio"], rows["encode"] + down), (segments["audio"], y + 0.4))
    _arrow(ax, (segments["audio"], y - 0.4), (segments["audio"], rows["group"] + up))
    turn = rows["in"] + down - 0.16
    start = (segments["visual"] - 0.5, rows["in"] + down)
    corners = [(start[0], turn), (3.6, turn), (3.6, y)]
    # Past the visual encoder: the block reads the image as it came in.
    _arrow(ax, start, *corners, (segments["audio"] + 0.93, y), dashed=True)
    below = (segments["visual"], rows["encode"] + down), (segments["visual"], rows["group"] + up)
    _arrow(ax, *below)
    ax.text(segments["visual"] + 0.07, y, r"$\hat{f}^{\,v}$", fontsize=9, va="center")

    told = f"encoder of {depths[2]} blocks over all 2C tokens (Eq. 14)"
    _box(ax, 3.5, rows["across"], 3.9, told, "audio_visual")
    told = "grouping: audio tokens onto visual tokens (Eq. 15)"
    _box(ax, 3.5, rows["onto"], 3.9, told, "audio_visual")
    for x in segments.values():
        _arrow(ax, (x, rows["across"] + down), (x, rows["onto"] + up))
    _box(ax, 3.5, rows["out"], 2.2, "FC + sigmoid:\n$p^{av}$ (Eq. 16)", "audio_visual")
    _arrow(ax, (3.5, rows["onto"] + down), (3.5, rows["out"] + up))
    return figure


def cross_modal_network() -> Figure:
    """Cross-Modal learning's network (after Figure 2, CM): what it adds to HAN is filled.

    Sound is on the left, the image on the right. Dashed lines are skips; the discriminator and what
    leads to it are part of training alone.
    """
    figure, ax = plt.subplots(figsize=(7, 7.0))
    ax.set(xlim=(-0.4, 7.4), ylim=(-0.1, 8.9))
    ax.set_axis_off()
    up, down = _HEIGHT / 2, -_HEIGHT / 2
    columns = {"audio": 1.75, "visual": 5.25}
    names = {"audio": "a", "visual": "v"}
    rows = {"in": 8.5, "alone": 7.35, "across": 6.0, "shared": 4.9, "skip": 3.75, "u": 2.75}
    rows |= {"pool": 1.45, "out": 0.3}
    context = "global-context-aware or plain"
    _box(
        ax,
        3.5,
        rows["across"],
        5.0,
        f"attention across modalities, one set of weights\n{context}",
        "audio_visual",
    )
    _box(
        ax,
        3.5,
        rows["shared"],
        5.0,
        "shared projection: one linear layer for both",
        "audio_visual",
    )
    for kind, name in names.items():
        x, outside = columns[kind], -0.1 if kind == "audio" else 7.1
        told = f"{kind} segments\n$f^{{\\,{name}}}$ (T × D)"
        _box(ax, x, rows["in"], 2.0, told, kind, plain=True)
        told = f"self-attention, own weights\n{context}"
        _box(ax, x, rows["alone"], 2.9, told, kind)
        _arrow(ax, (x, rows["in"] + down), (x, rows["alone"] + up))
        _arrow(ax, (x, rows["alone"] + down), (x, rows["across"] + up))
        _arrow(ax, (x, rows["across"] + down), (x, rows["shared"] + up))
        _box(ax, x, rows["skip"], 2.3, "skip: sum, layer norm", kind)
        _arrow(ax, (x, rows["shared"] + down), (x, rows["skip"] + up))
        side = -1 if kind == "audio" else 1
        turn = (rows["alone"] + down + rows["across"] + up) / 2
        path = (x, turn), (outside, turn), (outside, rows["skip"])
        _arrow(ax, *path, (x + side * 1.15, rows["skip"]), dashed=True)
        _box(ax, x, rows["u"], 1.6, f"features $U^{name}$ (T × D)", kind, plain=True)
        _arrow(ax, (x, rows["skip"] + down), (x, rows["u"] + up))
    pool, critic = 1.55, 5.3
    told = "attentive MMIL pooling\n(Eq. 5, MGN)"
    _box(ax, pool, rows["pool"], 2.5, told, "audio_visual", plain=True)
    told = "$p^{av}$, $p^a$, $p^v$: three losses\nagainst the label (Eq. 3)"
    _box(ax, pool, rows["out"], 2.5, told, "audio_visual", plain=True)
    told = "ReLU, gradient reversal:\nforward $x$, backward $-\\alpha$ times the gradient"
    _box(ax, critic, rows["pool"], 3.6, told, "audio_visual")
    told = "discriminator: audio or visual?\n(Eq. 2)"
    _box(ax, critic, rows["out"], 2.7, told, "audio_visual")
    for x in (pool, critic):
        _arrow(ax, (x, rows["pool"] + down), (x, rows["out"] + up))
    # Both modalities go to both ends.
    for kind, shift, turn in (("audio", 0.25, 0.14), ("visual", -0.25, 0.3)):
        for x in (pool, critic):
            side = -1 if kind == "audio" else 1
            start = columns[kind], rows["u"] + down
            bend = rows["u"] + down - turn - 0.02
            end = x + side * abs(shift)
            _arrow(ax, start, (start[0], bend), (end, bend), (end, rows["pool"] + up))
    return figure
