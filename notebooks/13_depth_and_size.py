# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How deep, how big
#
# MGN {cite}`mgn` is said to be better than HAN {cite}`han`, and less than half as big. Its
# supplement varies how many transformer blocks the network has, and prints a size and five scores
# for each variant. This chapter derives every size by hand, finds what the printed sizes count,
# asks what a forward pass costs, and trains all the depths again.
#
# The sizes can be settled exactly, without training anything. The scores cannot: they ask, as
# everything in {doc}`12_ablations` does, whether a difference is larger than what chance does.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import inspect
import itertools
import math

import numpy as np
from IPython.display import Markdown

from avvp.cells import code, show_text
from avvp.claims import MIB, claims_table, sizes
from avvp.experiments import REGISTRY
from avvp.figures import use_style
from avvp.figures.studies import Sized, differences, scores_by_size, stacked_sizes
from avvp.model_size import (
    BYTES,
    attention,
    attention_operations,
    encoder_block,
    encoder_operations,
    feed_forward,
    feed_forward_operations,
    front_end,
    grouping_block,
    grouping_operations,
    linear,
    measured,
    norm,
    operations,
    operations_of_frames,
    predicted_han,
    predicted_idle,
    predicted_mgn,
    predicted_operations_han,
    predicted_operations_mgn,
    released_shapes,
)
from avvp.models import build
from avvp.models.mgn import EXPANSION, MGN
from avvp.parity import names_and_shapes, open_golden
from avvp.published import published
from avvp.results import HOME, read_arrays
from avvp.studies import open_study, told_by_scale
from avvp.tables import KINDS, result_table

use_style()

GOLDEN = HOME / "tests" / "parity" / "golden"
SEGMENT = {f"segment/{key}": title for key, title in KINDS.items()}
place = {"profile": profile, "data": data}


def points(number: float | None) -> str:
    return "not printed" if number is None else f"{number:+.1f}"


def megabytes(numbers: int) -> float:
    """In millions of bytes, at four bytes a number."""
    return BYTES * numbers / 1e6


# %% [markdown]
# ## The idea
#
# Before MGN groups anything it lets things read each other ({doc}`10_grouping`). The seconds and the
# class tokens of one modality pass through a stack of transformer blocks, in each modality its own;
# and the grouped tokens of both modalities pass through another one together. The first two stacks
# belong to class-aware unimodal grouping (CUG), the third to modality-aware cross-modal grouping
# (MCG). Their heights are what the paper calls *depth*, and we write them in this order: 3/3/6 is
# MGN as published, with three blocks for sound, three for the image, and six across. The grouping
# itself happens once at every depth.
#
# More blocks can express more. They also have to be trained, from labels that say of a video what
# is in it and neither when nor in which modality. The main text holds that MGN gets worse as it gets
# deeper, and blames the weak labels for it. The supplement says of its table that vision and
# audio-visual parsing keep improving as CUG gets deeper. It names six values that were tried, from
# 1 to 8, which would make thirty-six pairs. The table has these:

# %% tags=["hide-input"]
PUBLISHED_DEPTHS = inspect.signature(MGN).parameters["depths"].default
DEPTHS = {
    name: tuple(entry.options.get("depths", PUBLISHED_DEPTHS))
    for name, entry in REGISTRY.items()
    if name == "mgn/mgn" or name.startswith("mgn/depth_")
}
DEPTHS = {name: DEPTHS[name] for name in sorted(DEPTHS, key=lambda name: DEPTHS[name])}
TITLES = {name: "/".join(map(str, depths)) for name, depths in DEPTHS.items()}
study = open_study(
    {
        "mgn/mgn": f"MGN {TITLES['mgn/mgn']}",
        "han/han": "HAN",
        **{name: title for name, title in TITLES.items() if name != "mgn/mgn"},
    },
    paper="mgn_supp",
    table="Table 1",
    **place,
)
printed_size = {
    name: published("mgn_supp", "Table 1", row.row, row.setting)["model_size"]
    for name in study.names
    for row in REGISTRY[name].rows
    if (row.paper, row.table) == ("mgn_supp", "Table 1")
}
show_text(
    [
        {
            "network": "HAN" if name == "han/han" else f"MGN {TITLES[name]}",
            "blocks in CUG, both modalities": str(sum(DEPTHS[name][:2]))
            if name in DEPTHS
            else "none",
            "blocks in MCG": str(DEPTHS[name][2]) if name in DEPTHS else "none",
            "size in print (MB)": f"{printed_size[name]:.0f}",
            "experiment": f"`{name}`",
        }
        for name in ("han/han", *DEPTHS)
    ]
)

# %% [markdown]
# The text calls these megabytes a number of parameters. Which megabytes they are, and of what, is
# the question of the next sections.
#
# ## How big: by hand
#
# A linear layer from $n$ to $m$ channels with a bias has $m(n+1)$ numbers, and a layer norm has two
# a channel. Everything in MGN is made of these two and of the class tokens. We write $D$ for the
# width, 128 in MGN.
#
# ### One block
#
# A block of the stacks has attention with four projections (queries, keys, values, and what was
# read), a feed-forward part that goes to $4D$ channels and back, and a norm before each:
#
# $$
# \underbrace{4\,D(D+1)}_{\text{attention}}
# + \underbrace{4D(D+1) + D(4D+1)}_{\text{feed-forward}}
# + \underbrace{2 \cdot 2D}_{\text{norms}}
# = 12D^2 + 13D .
# $$
#
# The number of heads does not enter. In code, and for $D = 128$ beside the block that trains:

# %%
code(linear, norm, attention, feed_forward, encoder_block)

# %% tags=["hide-input"]
D = 128
block = measured(build("mgn").audio_encoder[0])
by_hand = {
    "attention": (rf"$4 \cdot {D} \cdot {D + 1}$", attention(D), ["attention"]),
    "feed-forward": (
        rf"${EXPANSION * D} \cdot {D + 1} + {D} \cdot {EXPANSION * D + 1}$",
        feed_forward(D, EXPANSION * D),
        ["feed_forward"],
    ),
    "two norms": (
        rf"$2 \cdot 2 \cdot {D}$",
        2 * norm(D),
        ["norm_attention", "norm_feed_forward"],
    ),
    "the block": (rf"$12 \cdot {D}^2 + 13 \cdot {D}$", encoder_block(D), list(block)),
}
rows = []
for part, (formula, predicted, modules) in by_hand.items():
    found = sum(block[module] for module in modules)
    assert predicted == found == (12 * D**2 + 13 * D if part == "the block" else predicted)
    rows.append(
        {"part": part, "by hand": formula, "predicted": f"{predicted:,}", "measured": f"{found:,}"}
    )
show_text(rows, right=2)

# %% [markdown]
# ### A whole network
#
# A grouping block is made the same way: two attentions, two feed-forward parts, six norms, and a
# small feed-forward part along the *tokens*, the only one whose size depends on how many there are.
# The rest is four linear layers at the entrance and four at the exit.

# %%
code(grouping_block, front_end, predicted_mgn)

# %% [markdown]
# So the size is a straight line in the number of blocks, whichever stack they stand in. The next
# table holds the formula to the networks that train, and both to what the released code was counted
# to have (`size_table` of the golden numbers, with the length of the file that the released network
# is saved in).

# %% tags=["hide-input"]
archive, _ = open_golden(GOLDEN, "mgn.npz")
released = {tuple(row[:3]): row[3:] for row in archive["size_table"].tolist()}
weighed = {name: sizes(name) for name in study.names}
rest = sum(predicted_mgn((0, 0, 0)).values())
rows = []
for name, depths in DEPTHS.items():
    predicted = sum(predicted_mgn(depths).values())
    found = sum(measured(build("mgn", depths=depths)).values())
    stored, used, file = released[depths]
    assert predicted == found == stored == used == sum(depths) * encoder_block() + rest
    rows.append(
        {
            "MGN": TITLES[name],
            "formula": f"{sum(depths)} · {encoder_block():,} + {rest:,}",
            "predicted": f"{predicted:,}",
            "measured": f"{found:,}",
            "release, stored": f"{stored:,}",
            "release, used": f"{used:,}",
            "our file (MB)": f"{weighed[name]['saved'] / 1e6:.2f}",
            "file of the release (MB)": f"{file / 1e6:.2f}",
        }
    )
show_text(rows, right=6)

# %% [markdown]
# Predicted, measured and released agree to the last number. In this chapter a megabyte (MB) is
# $10^6$ bytes, and a mebibyte (MiB) $2^{20}$; a number takes four bytes. A file is a little longer
# than its numbers, because it also holds their names and shapes.

# %% tags=["hide-input"]
Markdown(
    f"A block is {megabytes(encoder_block()):.2f} MB, so a step in the depth of CUG, which adds one in "
    f"each modality, costs {2 * megabytes(encoder_block()):.2f} MB, a step in the depth of MCG half of "
    f"that, and a network without any block would have {megabytes(rest):.2f} MB."
)

# %% [markdown]
# ### What is stored, and what is used
#
# HAN has a small formula of its own: a front end, one layer of hybrid attention, which serves sound
# and image alike, and the three linear layers of MMIL pooling, all at $D = 512$.

# %%
code(predicted_han)

# %% tags=["hide-input"]
stored, used = archive["han_size"].tolist()
predicted = sum(predicted_han().values())
assert predicted == sum(measured(build("han")).values()) == used
Markdown(
    f"The formula gives {predicted:,} numbers, {megabytes(predicted):.1f} MB, and so many does our "
    f"HAN have. The checkpoint of the release has {stored:,}, {megabytes(stored):.1f} MB. Training "
    f"moves {used:,} of them; the other {100 * (stored - used) / stored:.0f} % are idle."
)

# %% [markdown]
# The idle numbers belong to layers that the constructor builds and that nothing calls: whole
# encoders besides the one that works, and norms that nothing reads. They receive no gradient, keep the
# values that chance gave them, and travel in every checkpoint. MA, whose code starts from HAN's, has
# inherited them and adds more. The released checkpoints list their entries by name, so one can
# count: what is not among the entries of the network that works is idle.

# %% tags=["hide-input"]
working = released_shapes("han")
rows = []
for family, title in (("han", "HAN"), ("ma", "MA")):
    archive_of, _ = open_golden(GOLDEN, f"{family}.npz")
    counted: dict[str, int] = {}
    for name, shape in names_and_shapes(archive_of).items():
        if name not in working:
            part = name.partition(".")[0]
            counted[part] = counted.get(part, 0) + math.prod(shape)
    assert counted == predicted_idle(family)
    rows += [
        {
            "release": title,
            "idle part, by its name there": f"`{part}`",
            "predicted": f"{size:,}",
            "counted": f"{counted[part]:,}",
            "MB": f"{megabytes(size):.2f}",
        }
        for part, size in predicted_idle(family).items()
    ]
    total = sum(counted.values())
    rows.append(
        {
            "release": title,
            "idle part, by its name there": "all",
            "predicted": f"{sum(predicted_idle(family).values()):,}",
            "counted": f"{total:,}",
            "MB": f"{megabytes(total):.2f}",
        }
    )
show_text(rows, right=3)

# %% [markdown]
# MGN's release stores what it uses and nothing else. {numref}`fig-size-parts` shows where the numbers
# of each network sit.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-size-parts", "caption": "Where the numbers of HAN, MA and MGN sit, in MB at four bytes a number. Filled: what a forward pass uses, by part, with the number of the legend in it. Hatched: what the release stores and never uses. All follow from formulas, and equal what the networks have."}, "image": {"alt": "Horizontal stacked bars. HAN and MA use 18.3 MB, and beyond that have a hatched part that brings HAN to 37.2 MB and MA to more. The six depths of MGN have bars between 11 and 21 MB without a hatched part, of which the encoders grow with depth while front end and grouping stay as they are."}}
PARTS = {
    "front_end": "front end",
    "hybrid_attention": "hybrid attention (HAN)",
    "audio_encoder": "encoders within a modality",
    "visual_encoder": "encoders within a modality",
    "segment_grouping": "grouping within a modality",
    "audio_grouping": "grouping within a modality",
    "visual_grouping": "grouping within a modality",
    "cross_modal_encoder": "encoder across modalities",
    "cross_modal_grouping": "grouping across modalities",
}
REST = "tokens, classifiers, pooling"


def by_part(modules: dict[str, int]) -> dict[str, float]:
    """The MB of the parts that the figure tells apart, in its order."""
    parts = dict.fromkeys([*PARTS.values(), REST], 0.0)
    for module, size in modules.items():
        parts[PARTS.get(module, REST)] += megabytes(size)
    return parts


_ = stacked_sizes(
    {
        "HAN": by_part(predicted_han()),
        "MA": by_part(predicted_han()),
        **{f"MGN {TITLES[name]}": by_part(predicted_mgn(d)) for name, d in DEPTHS.items()},
    },
    idle={
        title: megabytes(sum(predicted_idle(family).values()))
        for title, family in (("HAN", "han"), ("MA", "ma"))
    },
)

# %% [markdown]
# ### What the printed sizes count
#
# Seven sizes are printed as whole megabytes. The table tries what they could count: the bare numbers
# or the file, all that is stored or what is used, in MB or in MiB, rounded to the nearest, down or
# up. A cell says how many of the seven come out right.

# %% tags=["hide-input"]
candidates = {
    "the numbers that are used": lambda w: w["used"],
    "the numbers that are stored": lambda w: w["stored"],
    "a file of what is used": lambda w: w["saved"] - (w["stored"] - w["used"]),
    "the file of the release": lambda w: w["saved"],
}
rules = {"to the nearest": round, "down": math.floor, "up": math.ceil}
rows, matched = [], {}
for what, counted in candidates.items():
    for unit, size in (("MB", 10**6), ("MiB", MIB)):
        row = {"what is counted": what, "unit": unit}
        for rule, rounded in rules.items():
            hits = sum(
                rounded(counted(weighed[name]) / size) == printed
                for name, printed in printed_size.items()
            )
            matched[what, unit, rule] = hits
            row[f"rounded {rule}"] = f"{hits} of {len(printed_size)}"
        rows.append(row)
show_text(rows, right=3)

# %% tags=["hide-input"]
full = [key for key, hits in matched.items() if hits == len(printed_size)]
told = "; ".join(f"{what}, in {unit}, rounded {rule}" for what, unit, rule in full)
tight = min(printed_size, key=lambda name: (weighed[name]["saved"] / MIB) % 1)
Markdown(
    f"Readings that give all of them: {len(full)} ({told or 'none'}). A file listing such as "
    "`ls -h` shows sizes in just that way. The narrowest case, and the one that tells the file from "
    f"its numbers, is {study.names[tight]}: the file has {weighed[tight]['saved'] / MIB:.2f} MiB, the "
    f"one of the release {released[DEPTHS[tight]][2] / MIB:.2f}, and the numbers alone "
    f"{weighed[tight]['used'] / MIB:.2f}."
)

# %% [markdown]
# ### Where 47.2 % comes from
#
# The share is the quotient of two such listings. The next table takes it in other ways too: over
# what the releases store, without rounding, and over what the networks use. It takes MA's network as
# a second baseline. That one uses the very numbers that HAN uses, and stores more.

# %% tags=["hide-input"]
mgn = weighed["mgn/mgn"]
extra = BYTES * (sum(predicted_idle("ma").values()) - sum(predicted_idle("han").values()))
han = weighed["han/han"]
ma = {"used": han["used"], "stored": han["stored"] + extra, "saved": han["saved"] + extra}
shares = {}
for what, key, unit in (
    ("listed files, whole MiB", "saved", MIB),
    ("numbers stored", "stored", None),
    ("numbers used", "used", None),
):
    shares[what] = [
        (f"{math.ceil(w[key] / MIB)} MiB" if unit else f"{w[key] / 1e6:.1f} MB")
        for w in (mgn, han, ma)
    ]
    shares[what] += [
        f"{100 * (math.ceil(mgn[key] / MIB) / math.ceil(w[key] / MIB) if unit else mgn[key] / w[key]):.1f} %"
        for w in (han, ma)
    ]
show_text(
    [
        dict(
            zip(
                ("what is counted", "MGN 3/3/6", "HAN", "MA", "MGN / HAN", "MGN / MA"),
                (what, *cells),
                strict=True,
            )
        )
        for what, cells in shares.items()
    ],
    right=5,
)

# %% tags=["hide-input"]
claimed = published("mgn", "text", "MGN", "parameters relative to HAN")["model_size"]
small = weighed["mgn/depth_1_1_2"]
Markdown(
    f"So the {claimed} % are right about the checkpoints and say little about the networks. Of what "
    f"computes, MGN 3/3/6 has {100 * mgn['used'] / han['used']:.1f} % of HAN's numbers. "
    f"{(han['stored'] - han['used']) / 1e6:.1f} of the {(han['stored'] - mgn['stored']) / 1e6:.1f} MB "
    "by which its checkpoint is smaller are numbers that HAN could leave out without changing any "
    "output. If few numbers are what one is after, 1/1/2 is the depth to look at: it has "
    f"{100 * small['used'] / han['used']:.1f} % of what HAN uses."
)

# %% [markdown]
# ### Small because it is narrow
#
# MGN has many layers, of 128 channels; HAN has few, of 512. The formulas allow each of them the width
# of the other. Neither of the two exchanged networks occurs in a paper.

# %% tags=["hide-input"]
widths = (128, 512)
rows = [
    {
        "network": title,
        **{f"width {width} (MB)": f"{megabytes(total(width)):.1f}" for width in widths},
    }
    for title, total in (
        ("HAN", lambda width: sum(predicted_han(width).values())),
        ("MGN 3/3/6", lambda width: sum(predicted_mgn(width=width).values())),
    )
]
show_text(rows, right=2)

# %% tags=["hide-input"]
ratios = [
    sum(predicted_mgn(width=width).values()) / sum(predicted_han(width).values())
    for width in widths
]
Markdown(
    f"At equal width MGN is {ratios[0]:.0f} times as big as HAN with {widths[0]} channels, and "
    f"{ratios[1]:.0f} times with {widths[1]}. What makes it small is its width. Whether HAN needs "
    "its own is a question that no row of the table asks."
)

# %% [markdown]
# ## What a forward pass costs
#
# Size is one cost. Another is the work: how many multiplications and additions a video takes. A
# product of an $n \times k$ and a $k \times m$ matrix takes $2nkm$. For a block of MGN on a sequence
# of $S$ elements that gives
#
# $$
# \underbrace{8SD^2}_{\text{projections}}
# + \underbrace{4S^2D}_{\text{compare and read}}
# + \underbrace{16SD^2}_{\text{feed-forward}}
# = 24SD^2 + 4S^2D ,
# $$
#
# with $S = T + C = 35$ within a modality and $S = 2C = 50$ across. The tokens are what makes it
# costly: HAN's layer has sequences of ten.

# %%
code(attention_operations, feed_forward_operations, encoder_operations, grouping_operations)

# %% [markdown]
# The table sets this prediction beside a count. PyTorch's own counter watches a forward pass of
# each network on 16 videos and adds up the matrix products that it sees. Softmaxes, norms and
# activations are left out on both sides. The releases do one thing more than our code: they project
# each of the eight frames of a second and average afterwards, where we average first, which gives
# the same numbers. The column before the last adds that.

# %% tags=["hide-input"]
VIDEOS = 16
predicted_work = {
    "han/han": predicted_operations_han(videos=VIDEOS),
    **{name: predicted_operations_mgn(d, videos=VIDEOS) for name, d in DEPTHS.items()},
}
counted_work = {
    "han/han": operations(build("han"), videos=VIDEOS),
    **{name: operations(build("mgn", depths=d), videos=VIDEOS) for name, d in DEPTHS.items()},
}
assert predicted_work == counted_work
work = {name: sum(parts.values()) / VIDEOS / 1e6 for name, parts in counted_work.items()}
frames = {
    name: operations_of_frames(512 if name == "han/han" else D, videos=1) / 1e6 for name in work
}
show_text(
    [
        {
            "network": "HAN" if name == "han/han" else f"MGN {TITLES[name]}",
            "predicted (million)": f"{sum(predicted_work[name].values()) / VIDEOS / 1e6:.1f}",
            "counted (million)": f"{work[name]:.1f}",
            "relative to HAN": f"{work[name] / work['han/han']:.2f}",
            "as released, by frame (million)": f"{work[name] + frames[name]:.1f}",
            "as released, relative to HAN": (
                f"{(work[name] + frames[name]) / (work['han/han'] + frames['han/han']):.2f}"
            ),
        }
        for name in work
    ],
    right=5,
)

# %% tags=["hide-input"]
cheap = min(DEPTHS, key=lambda name: abs(work[name] / work["han/han"] - 1))
Markdown(
    f"A video costs MGN 3/3/6 {work['mgn/mgn'] / work['han/han']:.1f} times the work that it costs "
    f"HAN, at {100 * mgn['used'] / han['used']:.1f} % of the numbers. The depth that takes most "
    f"nearly the work of HAN is {TITLES[cheap]}, with {work[cheap]:.1f} million operations a video to "
    f"HAN's {work['han/han']:.1f}. Done frame by frame, the projection of the image weighs so much in "
    "the wider network that the two draw closer: "
    f"{work['mgn/mgn'] + frames['mgn/mgn']:.0f} to {work['han/han'] + frames['han/han']:.0f} million."
)

# %% [markdown]
# ## Result
#
# All depths are trained with the seeds, the data, the loss and the protocol of MGN. Only the number
# of blocks differs.

# %% tags=["hide-input"]
result_table(
    ["han/han", *DEPTHS],
    paper="mgn_supp",
    table="Table 1",
    **place,
)

# %% [markdown]
# {numref}`fig-size-differences` shows the same as differences from MGN 3/3/6. The rule of its
# intervals is that of {doc}`12_ablations`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-size-differences", "caption": "Depths of MGN, and HAN, against MGN 3/3/6, at segment level: dots with bars are differences of our runs with 95 % intervals, dashes those of the scores that the supplement's Table 1 prints for LLP. A row without runs says so. The title names the runs; on simulated LLP they are simulated."}, "image": {"alt": "Five panels, one a metric, with rows for HAN and five depths. In each row a dot with an interval, where it was run, shows the measured difference from MGN 3/3/6 in points, and a dash the printed one; a vertical line marks zero."}}
_ = differences(study.steps(SEGMENT), reference="MGN 3/3/6", title=study.told)

# %% [markdown]
# {numref}`fig-size-scores` asks what size buys. In print on the left, in our runs on the right; HAN
# has two places, one for what it uses and one for what its release stores.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-size-scores", "caption": "Score against size, at segment level: as printed for LLP (left), and in our runs (right), on simulated LLP unless the title says otherwise. Bars are 95 % intervals over seeds, where there are several. Circles: MGN, joined where both depths grow together. Squares: HAN, filled at the size of what it uses and hollow at the size of what its release stores. Scores left and right come from two worlds, and have axes of their own."}, "image": {"alt": "Four panels, two a row: Type@AV above, the visual score below; printed scores on the left, our runs on the right. Circles for depths of MGN between 11 and 21 MB, and a filled square for HAN at 18.3 MB, tied by a dotted line to a hollow one at 37.2 MB."}}
SHOWN = {"segment/type_av": "Type@AV (%)", "segment/visual": "Visual (%)"}
LADDER = [name for name, (audio, _, across) in DEPTHS.items() if across == 2 * audio]


def weighed_scores(metric: str, *, ours: bool) -> list[Sized]:
    """Every network that has a score, with its two sizes."""
    found = []
    for name in study.names:
        label = TITLES.get(name, "HAN")
        here = [weighed[name][key] / 1e6 for key in ("used", "stored")]
        if not ours:
            found.append(Sized(label, *here, study.printed(name)[metric]))
        elif (score := study.score(name, metric)) is not None:
            found.append(Sized(label, *here, score.mean, score.half_width))
    return found


ours_told = study.told if study.per_video else "our runs"
_ = scores_by_size(
    {
        f"{title.removesuffix(' (%)')}, {source}": weighed_scores(metric, ours=ours)
        for metric, title in SHOWN.items()
        for source, ours in (("printed, LLP", False), (ours_told, True))
    },
    ylabels=list(SHOWN.values()),
    path=[TITLES[name] for name in LADDER],
)

# %% [markdown]
# What the runs cost is in the next table. Operations are exact. Seconds depend on the machine and on
# what else ran on it, and are comparable only where the device is the same; they also count what
# operations leave out, and many small products take a machine longer than a few large ones of the
# same sum. The *epoch kept* is the one with the best validation score: where it is the last, a
# network might have gone on improving.

# %% tags=["hide-input"]
rows = []
for name in ("han/han", *DEPTHS):
    runs = study.drawn[name].runs if name in study.per_video else ()
    kept = [int(read_arrays(path)["selected_epoch"]) for path in study.drawn[name].paths]
    seconds = np.mean([run.seconds for run in runs]) if runs else math.nan
    epochs = runs[0].configuration["training"]["epochs"] if runs else 0
    rows.append(
        {
            "network": "HAN" if name == "han/han" else f"MGN {TITLES[name]}",
            "numbers used (MB)": f"{weighed[name]['used'] / 1e6:.1f}",
            "operations a video (million)": f"{work[name]:.0f}",
            "seconds a run": f"{seconds:,.0f}" if runs else "not run",
            "epochs": str(epochs) if runs else "",
            "seconds an epoch": f"{seconds / epochs:,.0f}" if runs else "",
            "epoch kept, by seed": ", ".join(map(str, kept)) if runs else "",
        }
    )
show_text(rows)

# %% tags=["hide-input"]
devices = sorted({run.device for name in study.per_video for run in study.drawn[name].runs})
Markdown(f"Runs that were made on: {'; '.join(devices)}." if devices else "There are no runs.")

# %% [markdown]
# ## What to make of it
#
# First, what is said about depth in words. Only some rows of the table differ in one thing. The next
# table lists them, with what each step adds.

# %% tags=["hide-input"]
STEPS = {
    "MCG from 3 to 6, CUG 3": ("mgn/depth_3_3_3", "mgn/mgn"),
    "CUG from 3 to 6, MCG 3": ("mgn/depth_3_3_3", "mgn/depth_6_6_3"),
    **{
        f"both, {TITLES[one]} to {TITLES[other]}": (one, other)
        for one, other in itertools.pairwise(LADDER)
    },
}
rows = []
for title, (one, other) in STEPS.items():
    row = {
        "step": title,
        "MB": f"{(weighed[other]['used'] - weighed[one]['used']) / 1e6:+.1f}",
    }
    for key in ("segment/visual", "segment/audio_visual", "segment/type_av"):
        step = study.step(other, key, to=one)
        row[f"{SEGMENT[key]}, print"] = points(step.printed)
        row[f"{SEGMENT[key]}, ours"] = step.told
    rows.append(row)
show_text(rows, right=7)

# %% [markdown]
# Second, where each score is best, and how far the depths lie apart, beside the width of an interval
# for a difference of two of them.

# %% tags=["hide-input"]
rows, halves = [], []
complete = set(DEPTHS) <= set(study.per_video)
for key, title in SEGMENT.items():
    in_print = {TITLES[name]: study.printed(name)[key] for name in DEPTHS}
    ours = {TITLES[name]: study.score(name, key).mean for name in DEPTHS if name in study.per_video}
    wide = [
        step.half_width
        for name in DEPTHS
        if name != "mgn/mgn" and (step := study.step(name, key)).half_width is not None
    ]
    halves += wide
    rows.append(
        {
            "metric": title,
            "best in print": max(in_print, key=in_print.get),
            "range in print": f"{max(in_print.values()) - min(in_print.values()):.1f}",
            "best in our runs": max(ours, key=ours.get) if complete else "not all run",
            "range in our runs": (
                f"{max(ours.values()) - min(ours.values()):.1f}" if complete else "not all run"
            ),
            "half an interval here, median": f"{np.median(wide):.1f}" if wide else "none yet",
        }
    )
show_text(rows, right=5)

# %% tags=["hide-input"]
in_print = [study.printed(name)["segment/type_av"] for name in LADDER]
top = LADDER[int(np.argmax(in_print))]
deeper = study.step("mgn/depth_4_4_8", "segment/type_av").printed
cug = {key: study.step("mgn/depth_6_6_3", key, to="mgn/depth_3_3_3") for key in SEGMENT}
vision = [study.printed(name)["segment/visual"] for name in LADDER]
said = [
    "**In print.** The two sentences about depth read two different parts of one table. Where both "
    f"depths grow together, Type@AV rises up to {TITLES[top]} and then changes by {points(deeper)}: "
    "so deeper is worse, but from there on only. Where CUG alone goes from 3 to 6, vision "
    f"changes by {points(cug['segment/visual'].printed)} and audio-visual parsing by "
    f"{points(cug['segment/audio_visual'].printed)}; that is one pair of rows, and along the others "
    f"the visual score goes {', '.join(map(str, vision))}, which is not steady either."
]
ours = study.summary(SEGMENT)
said.append(f"**In our runs.** {ours}")
if halves:
    widest = max(float(row["range in print"]) for row in rows)
    said.append(
        f"The largest range over the six depths in print is {widest:.1f} points, and half an interval "
        f"for the difference of two of our rows is {np.median(halves):.1f} at the median. Two "
        "single trainings would have to differ by more than that to tell a depth "
        "from a seed."
    )
if "mgn/depth_1_1_2" in study.per_video and "han/han" in study.per_video:
    steps = {
        title: study.step("mgn/depth_1_1_2", key, to="han/han") for key, title in SEGMENT.items()
    }
    told = ", ".join(f"{title} {step.told}" for title, step in steps.items())
    said.append(
        f"MGN 1/1/2 takes {work['mgn/depth_1_1_2'] / work['han/han']:.2f} of HAN's operations and "
        f"{small['used'] / han['used']:.2f} of its numbers, so here MGN has more of neither. Minus "
        f"HAN it scores {told}."
    )
if scale := told_by_scale(
    "mgn/mgn",
    "han/han",
    paper="mgn_supp",
    table="Table 1",
    metric="segment/type_av",
    data=data,
):
    said.append(f"**Against HAN, scale matters.** {scale}")
epochs = {
    name: study.drawn[name].runs[0].configuration["training"]["epochs"]
    for name in DEPTHS
    if name in study.per_video
}
published_epochs = REGISTRY["mgn/mgn"].training.epochs
if len(epochs) > 1 and any(count != published_epochs for count in epochs.values()):
    told = " or ".join(map(str, sorted(set(epochs.values()))))
    said.append(
        f"A caution: MGN trained {told} epochs of a smaller set here, not {published_epochs} of the "
        "published one. Deep networks may need the most steps, so what they lose in our runs may be "
        "due to the schedule; the epochs kept, in the table of costs, are a hint."
    )
said.append(
    f"**The size.** Of HAN's checkpoint {100 * (1 - han['used'] / han['stored']):.0f} % is never "
    f"used. What computes in MGN 3/3/6 is {100 * mgn['used'] / han['used']:.1f} % of what computes "
    f"in HAN, and does {work['mgn/mgn'] / work['han/han']:.1f} times the work."
)
Markdown("\n\n".join(said))

# %% [markdown]
# ## The claims

# %% tags=["hide-input"]
claims_table("depth", **place)
