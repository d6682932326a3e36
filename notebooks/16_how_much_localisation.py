# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How much localisation does LLP reward?
#
# A parser says *which* events occur, in *which modality*, and *when*. The last is what gives the task
# its name. This chapter asks how much of a score each of the three earns: for every method that the
# book trains, by repairing its errors one kind at a time; for the printed results, by holding them
# against predictors that know nothing about time.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown
from scipy.stats import kendalltau

from avvp.cells import code, listed, show, show_text
from avvp.event_lengths import LENGTHS, in_all_seconds, scores_by_length
from avvp.figures import note, use_style
from avvp.figures.repairs import KIND_NAMES, Decomposed, changed_ranks, stacked_repairs
from avvp.metrics import LEVELS, METRICS
from avvp.reference_lines import LINES, printed_rows, read_lines
from avvp.registry import REGISTRY
from avvp.repair import KINDS, REPAIRS, error_kinds, gains, repaired_scores
from avvp.results import read_arrays
from avvp.tables import KINDS as SCORES
from avvp.tables import PAPERS, runs_to_draw

use_style()

METHODS = {
    "older/ave": "AVE",
    "older/avsdn": "AVSDN",
    "older/talnet": "TALNet (audio)",
    "older/stpn": "STPN (visual)",
    "older/cmcs": "CMCS (visual)",
    "han/han": "HAN",
    "cross_modal/adv_skip_gcaa": "Adv + Skip + GCAA",
    "cross_modal/pretrain_multi": "Pretrain (multi)",
    "ma/c": "MA (C)",
    "ma/r": "MA (R)",
    "ma/cr": "MA (C+R)",
    "mgn/mgn": "MGN",
    "mgn/c": "MGN (C)",
    "mgn/r": "MGN (R)",
    "mgn/cr": "MGN (C+R)",
    "mgn/localising": "MGN, by segment (ours)",
    "reference/linear": "linear model",
    "reference/oracle": "oracle decoder",
}
NEEDED = ("repair/scores", "by_length", "all_seconds/scores", "all_seconds/by_length")
lines = read_lines()
test = lines["splits"]["test"]


def column(name: str, level: str) -> int:
    """Type@AV, or the one score that a method of one modality has."""
    own = [m for m in ("audio", "visual") if f"({m})" in METHODS.get(name, "")]
    return METRICS.index(f"{level}/{own[0] if own else 'type_av'}")


# %% [markdown]
# ## Three ways to be wrong
#
# Take a class in a video. If prediction and truth disagree about whether it is in the video at all,
# all its wrong seconds are errors of *class*. If both have it in the video and they disagree about
# whether it is in this modality, they are errors of *modality*. If they agree about that too, they
# are errors of *time*. So each wrong second has exactly one kind.

# %% tags=["hide-input"]
code(error_kinds)

# %% [markdown]
# To repair a kind is to put the truth in place of the prediction wherever there is an error of that
# kind, and to score again with the ten published scores. All three repairs give the truth, and 100.
# What one repair brings depends on which were made before, because a made-up class enters the mean of
# its video with zero and makes every other class count less. The figure shows the mean over the six
# orders (the Shapley value), so that the parts add up to 100.

# %% tags=["hide-input"]
code(repaired_scores, gains)

# %% tags=["hide-input"]
drawn = {
    name: runs_to_draw(name, profile=profile, data=data, beside=[*METHODS]) for name in METHODS
}
videos = {run.data_fingerprint for run in drawn["han/han"].runs}
arrays: dict[str, list[dict[str, np.ndarray]]] = {}
behind, elsewhere = [], []
for name, group in drawn.items():
    if videos and not videos >= {run.data_fingerprint for run in group.runs}:
        elsewhere.append(METHODS[name])
        continue
    found = [read_arrays(path) for path in group.paths]
    if found and all(key in each for each in found for key in NEEDED):
        arrays[name] = found
    elif found:
        behind.append(METHODS[name])


def mean(name: str, key: str) -> np.ndarray:
    """An array of a method, averaged over its seeds."""
    return np.mean([each[key] for each in arrays[name]], axis=0)


def decomposed(name: str, level: str) -> Decomposed | None:
    if name not in arrays:
        return None
    i, scores = column(name, level), mean(name, "repair/scores")
    return Decomposed(scores[0, i], gains(scores)[:, i], mean(name, "all_seconds/scores")[i])


def decomposed_line(line: str, level: str) -> Decomposed:
    scores = np.array([row[f"{level}/type_av"] for row in test["repaired"][line]])
    return Decomposed(scores[0], gains(scores), scores[0])


FIXED = {"weak": "weak label, LLP", "modality": "modality label, LLP"}
panels = {
    f"Type@AV, {level} level": {
        **{title: decomposed(name, level) for name, title in METHODS.items()},
        **{title: decomposed_line(line, level) for line, title in FIXED.items()},
    }
    for level in LEVELS
}
counts = sorted({len(found) for found in arrays.values()})
told = drawn["han/han"].told.rpartition(", ")[0]
if counts:
    told += f", {counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f", {counts[0]} seed(s)"
missing = [title for name, title in METHODS.items() if not drawn[name].runs]
Markdown(
    (f"Runs: {told}. " if arrays else "")
    + (f"Run on other videos only, and left out: {listed(elsewhere)}. " if elsewhere else "")
    + (f"Not run here: {listed(missing)}. " if missing else "")
    + (
        f"Without the arrays of this chapter: {listed(behind)}; `avvp results complete` adds them."
        if behind
        else ""
    )
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-repairs", "caption": "From a method's score to 100: what the repair of each kind of error brings, averaged over the orders of repair, and as a diamond what the method scores if every class is marked in all seconds of the modality in which it is found. The rows above the line are runs, on the data that the title names: on simulated LLP they are simulated. The two rows below are computed from the real test annotations of LLP: the weak label, and the true label of each modality, marked in all ten seconds. A method of one modality shows the score of that modality."}, "image": {"alt": "Two panels of stacked horizontal bars, segment and event level, a row a method. Each bar begins with a light grey part, the score, followed by three coloured and hatched parts up to 100: wrong class, wrong modality, wrong time. In trained methods the class takes by far the largest part and time the smallest at segment level; at event level time grows. A diamond near the end of the grey part shows the score without time. In the two rows from LLP's labels there is no error of class to speak of, and time takes about 16 points at segment level."}}
_ = (
    stacked_repairs(panels, ruled=len(FIXED), title=told)
    if arrays
    else note("No run of these methods has the arrays of this chapter yet.")
)

# %% tags=["hide-input"]
said = "There are no runs to sum up yet."
both = [name for name in arrays if not np.isnan(mean(name, "repair/scores")).any()]
trained = [name for name in both if not name.startswith("reference/")]
if trained:
    parts = {level: {name: decomposed(name, level) for name in trained} for level in LEVELS}
    share = {
        level: np.array([100 * np.array(p.gains) / sum(p.gains) for p in rows.values()])
        for level, rows in parts.items()
    }
    told_shares = {
        level: listed(
            [
                f"{KIND_NAMES[kind]} makes up {low:.0f} to {high:.0f} %"
                for kind, low, high in zip(
                    KINDS, share[level].min(axis=0), share[level].max(axis=0), strict=True
                )
            ]
        )
        for level in LEVELS
    }
    said = (
        f"Take the {len(trained)} trained methods that parse both modalities, and what they miss in "
        f"Type@AV. At segment level, {told_shares['segment']}; at event level, "
        f"{told_shares['event']}."
    )
Markdown(said)

# %% [markdown]
# A repair by itself, with the other two kinds of errors left in, says the same in another way: what
# would a method gain in Type@AV at segment level that made one kind of error no more?

# %% tags=["hide-input"]
rows = []
for name in arrays:
    scores = mean(name, "repair/scores")[:, column(name, "segment")]
    wrong = mean(name, "repair/seconds").sum(axis=(1, 2))
    rows.append(
        {
            "method": METHODS[name],
            "score": f"{scores[0]:.1f}",
            **{
                f"+ {kind} repaired": f"{scores[REPAIRS.index((kind,))] - scores[0]:+.1f}"
                for kind in KINDS
            },
            "wrong seconds": f"{wrong.sum():,.0f}",
            "of these " + ", ".join(KINDS) + " (%)": " / ".join(
                f"{100 * count / wrong.sum():.0f}" for count in wrong
            ),
        }
    )
show_text(rows, right=6) if rows else Markdown("There are no runs yet.")

# %% [markdown]
# ## What is time worth?
#
# The diamonds ask the question of the title directly. They take all that a method says about time
# out of its parsing: a class that it finds somewhere in the sound is marked in all ten seconds of the
# sound, and likewise for the image. Where the diamond lies to the right of the end of the grey bar,
# the method would score higher if it said nothing about time at all.

# %% tags=["hide-input"]
code(in_all_seconds)

# %% tags=["hide-input"]
said = "There are no runs to sum up yet."
if trained:
    said = ""
    for level in LEVELS:
        earned = {
            METHODS[name]: part.score - part.all_seconds for name, part in parts[level].items()
        }
        ranked = sorted(earned, key=lambda title: -earned[title])
        lose = [title for title in ranked if earned[title] < 0]
        said += (
            f"At {level} level, what they say about time changes Type@AV by "
            f"{earned[ranked[-1]]:+.1f} ({ranked[-1]}) to {earned[ranked[0]]:+.1f} points "
            f"({ranked[0]}); {len(lose)} of {len(ranked)} lose by it"
            + (f" ({listed(lose)})" if 0 < len(lose) < len(ranked) else "")
            + ". "
        )
    said += (
        "For comparison, the true label of each modality in all ten seconds scores "
        f"{test['lines']['modality']['segment/type_av']:.1f} and "
        f"{test['lines']['modality']['event/type_av']:.1f} on LLP's annotations."
    )
Markdown(said)

# %% [markdown]
# ## Printed results and the weak label
#
# No features are needed to ask the printed results. The weak label of a test video, marked in all
# ten seconds of both modalities, knows neither modality nor time ({doc}`02_scoring`). The table says,
# for each of the ten scores, which results of the papers' tables are not below it. Papers quote each
# other; rows that print the same numbers count once, and are named by the first paper in the order of this
# list that prints them, which need not be the one that they come from.

# %% tags=["hide-input"]
weak, modality = test["lines"]["weak"], test["lines"]["modality"]


def place_of(printed) -> str:
    first = printed.rows[0]
    return f"{first.in_words}, {PAPERS[first.paper]}, {first.table}"


rows, whole = [], []
for level in LEVELS:
    for kind, title in SCORES.items():
        key = f"{level}/{kind}"
        scored = [printed for printed in printed_rows(level) if key in printed.scores]
        above = [printed for printed in scored if printed.scores[key] >= weak[key]]
        if not above:
            whole.append(f"{title} ({level})")
        rows.append(
            {
                "score": f"{title}, {level}",
                "weak label everywhere": f"{weak[key]:.1f}",
                "highest in print": f"{max(p.scores[key] for p in scored):.1f}",
                "results below": f"{len(scored) - len(above)} of {len(scored)}",
                "not below": "; ".join(f"{place_of(p)}: {p.scores[key]:.1f}" for p in above)
                or "none",
            }
        )
show_text(rows)

# %% tags=["hide-input"]
beaten = [
    f"{SCORES[key.split('/')[1]]} ({level})"
    for level in LEVELS
    for key in METRICS
    if key.startswith(level)
    and any(p.scores.get(key, 0) >= modality[key] for p in printed_rows(level))
]
checksums = lines["annotations"]["sha256"]
Markdown(
    f"On LLP's {test['videos']:,} test videos the weak label everywhere is above every printed result "
    f"in {listed(whole)}. The true label of each modality everywhere "
    + (
        f"is reached in {listed(beaten)} only."
        if beaten
        else "is reached by no result in any score."
    )
    + f" Both were computed by `{lines['command']}`, from the annotation files whose checksums are "
    f"committed with the numbers (`AVVP_test_pd.csv`: `{checksums['AVVP_test_pd.csv'][:12]}…`)."
)

# %% [markdown]
# A method has to find the classes that these predictors are told, so a score below the line is no
# disgrace. But nobody can tell from such a score whether a method localises.
#
# ## Events that do not last as long as the clip
#
# The reason is how long events last.

# %% tags=["hide-input"]
show(
    [
        {
            "annotated pairs of LLP's test videos": name.replace("_", "-"),
            "pairs": pair["pairs"],
            "all ten seconds": pair["ten_seconds"],
            "share (%)": 100 * pair["ten_seconds"] / pair["pairs"],
        }
        for name, pair in test["pairs"].items()
    ]
)

# %% [markdown]
# So we score the others apart. Of each video only those annotated pairs of a class and a modality
# count that are on in some seconds and not in all. A class that is not annotated costs nothing here,
# which favours methods that name many; and the mean is over the videos that have any such pair.

# %% tags=["hide-input"]
code(scores_by_length)

# %% [markdown]
# On these events a predictor can no longer live on classes alone. The lines below are those of LLP's
# own annotations: whoever is told every class of every modality, and marks ten seconds, gets this
# much and no more.

# %% tags=["hide-input"]
show(
    [
        {
            "line, on LLP's annotations": LINES[line],
            "events": {"shorter": "shorter than the clip", "whole": "as long as the clip"}[length],
            **{
                f"{SCORES[kind]}, {level}": test["by_length"][line][length][f"{level}/{kind}"]
                for level in LEVELS
                for kind in ("audio", "visual", "type_av")
            },
        }
        for length in LENGTHS
        for line in ("weak", "modality")
    ]
)

# %% [markdown]
# {numref}`fig-short-events` ranks our runs by Type@AV over all events, and over those that are
# shorter than the clip.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-short-events", "caption": "Rankings by segment-level Type@AV: over all events on the left, over events shorter than the clip on the right, where classes that are not annotated cost nothing. Blue and solid: climbs; orange and dashed: falls; black: keeps its place. In grey and italics, the same classes as HAN in all seconds. Runs on the data that the title names; on simulated LLP all numbers are simulated."}, "image": {"alt": "Two columns of method names with scores, joined by lines. Blue solid lines climb from left to right and orange dashed ones fall; a grey dotted line shows HAN without time."}}
short, line = {}, {}
if "han/han" in both:
    i = METRICS.index("segment/type_av")
    for name in both:
        short[METHODS[name]] = (mean(name, "repair/scores")[0, i], mean(name, "by_length")[0, i])
    line["HAN, in all seconds"] = (
        mean("han/han", "all_seconds/scores")[i],
        mean("han/han", "all_seconds/by_length")[0, i],
    )
_ = (
    changed_ranks(
        short,
        columns=("all events", "events shorter than the clip"),
        lines=line,
        title=told,
    )
    if short
    else note("No run of these methods has the arrays of this chapter yet.")
)

# %% tags=["hide-input"]
said = "There are no runs to sum up yet."
if len(short) > 2:
    ranked = [sorted(short, key=lambda title: -short[title][side]) for side in (0, 1)]
    moved = {title: ranked[0].index(title) - ranked[1].index(title) for title in short}
    up, down = max(moved, key=moved.get), min(moved, key=moved.get)
    agree = kendalltau(*zip(*short.values(), strict=True)).statistic
    gained = {
        METHODS[name]: mean(name, "by_length")[0, i] - mean(name, "all_seconds/by_length")[0, i]
        for name in trained
    }
    lose = [title for title, value in gained.items() if value < 0]
    said = (
        f"The two rankings agree with Kendall's τ = {agree:.2f}. {up} climbs most, by {moved[up]} "
        f"places, and {down} falls most, by {-moved[down]}. "
        if moved[up]
        else f"The two rankings are the same (Kendall's τ = {agree:.2f}). "
    ) + (
        "Beside the same classes in all ten seconds, what the trained methods say about time is worth "
        f"{min(gained.values()):+.1f} ({min(gained, key=gained.get)}) to {max(gained.values()):+.1f} "
        f"points ({max(gained, key=gained.get)}) on these events; {len(lose)} of {len(gained)} would "
        "do better without."
    )
    refined = [METHODS[name] for name in trained if REGISTRY[name].refinement]
    if refined:
        said += (
            " The methods whose labels were refined move by "
            + listed([f"{moved[title]:+d} places ({title})" for title in refined])
            + "."
        )
Markdown(said)

# %% [markdown]
# ## What to make of it

# %% tags=["hide-input"]
weak_repairs = decomposed_line("weak", "segment")
said = [
    f"- **On LLP itself**, time is worth {100 - modality['segment/type_av']:.1f} points of Type@AV at "
    f"segment level and {100 - modality['event/type_av']:.1f} at event level to a parser that has "
    "every class in the right modality. The other "
    f"{modality['segment/type_av']:.1f} and {modality['event/type_av']:.1f} can be had without looking "
    "at the clock.",
    f"- **Knowing the modality is worth {weak_repairs.gains[KINDS.index('modality')]:.1f} points** to a "
    f"parser that has the weak label, and time {weak_repairs.gains[KINDS.index('time')]:.1f}.",
]
if trained:
    largest = [KINDS[int(np.argmax(p.gains))] for p in parts["segment"].values()]
    common = max(set(largest), key=largest.count)
    said.append(
        f"- **In our runs** ({told}), the largest part of what is missing at segment level is "
        f"{KIND_NAMES[common]} in {largest.count(common)} of {len(largest)} methods. Simulated events "
        "are drawn with the lengths of real ones, but how hard a class is to recognise is the "
        "simulator's choice, calibrated on one row."
    )
said.append(
    "- **A method that is meant to localise** should be shown on events shorter than the clip, beside "
    "its own classes in all ten seconds. Both are arrays of every run (`by_length`, `all_seconds`), "
    "and `avvp.event_lengths` computes them for any predictions."
)
Markdown("\n".join(said))
