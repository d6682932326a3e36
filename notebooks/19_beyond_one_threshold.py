# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Beyond one threshold
#
# Ten numbers rank the methods of this field, and they share four decisions: one threshold of 0.5,
# one overlap of 0.5 for events, an average over videos, and each modality judged apart from the other. None of
# them is wrong, and none is forced. This chapter changes them one at a time, on the same parsings,
# and asks what happens to the ranking. A ranking that changes with the ruler is not a finding about
# methods.
#
# Everything is computed from what finished runs keep: curves, counts and bins, no probabilities.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown

from avvp.cells import code, listed, show, show_text
from avvp.curves import OVERLAPS, THRESHOLDS, one_modality_only
from avvp.detection import LIMITS, SCENARIOS
from avvp.events import decision_scores
from avvp.figures import label_name, note, use_style
from avvp.figures.measures import (
    rank_chart,
    reliability_diagrams,
    score_curves,
    scores_by_presence,
)
from avvp.measures import (
    MEASURES,
    agreement,
    best_threshold,
    calibration_error,
    f_score_of,
    measured,
    pooled_presence,
    ranks,
    read_scored,
    share_of_both,
)
from avvp.metrics import LEVELS, METRICS
from avvp.tables import runs_to_draw

use_style()
METHODS = {
    "reference/linear": "linear",
    "older/ave": "AVE",
    "older/avsdn": "AVSDN",
    "han/han": "HAN",
    "cross_modal/base": "CM: base",
    "cross_modal/adv_skip_gcaa": "CM: base + 3",
    "cross_modal/pretrain_multi": "CM: pre-trained",
    "ma/c": "MA (C)",
    "ma/r": "MA (R)",
    "ma/cr": "MA (C+R)",
    "mgn/mgn": "MGN",
    "mgn/localising": "MGN, ours",
}

# %% [markdown]
# Methods that parse both modalities take part. CM is Cross-Modal learning, with and without
# its three additions (adversarial training, skips, global context) and in the reduced pre-trained
# form of {doc}`07_learning_to_ground`; "MGN, ours" is the localising variant of
# {doc}`11_does_grouping_localise`.

# %% tags=["hide-input"]
drawn = {
    name: runs_to_draw(key, beside=list(METHODS), profile=profile, data=data)
    for key, name in METHODS.items()
}
absent = [f"- {name}: {own.told}" for name, own in drawn.items() if not own.runs]
groups = {name: read_scored(own) for name, own in drawn.items() if own.runs}
world = "; ".join(
    dict.fromkeys(
        f"{'simulated LLP' if run.simulated else run.data}, {run.profile}"
        for own in drawn.values()
        for run in own.runs
    )
)
count = {name: len(own) for name, own in groups.items()}
single = [name for name, n in count.items() if n == 1]
said = [f"The numbers below are means over training seeds ({world})." if groups else "No runs yet."]
if single and len(single) < len(count):
    said.append(f"There is one seed only of {listed(single)}.")
elif single:
    said.append("There is one seed of each.")
if absent:
    said.append("Without runs, and left out:\n\n" + "\n".join(absent))
Markdown("\n\n".join(said))

# %% [markdown]
# ## Which rankings change?

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-rankings", "caption": "The place of each method under several measures of the same parsings, best on top. The first column is the score by which this book ranks, and by which the releases that choose an epoch do. The five methods whose places move most are coloured. All methods were trained and scored on simulated LLP unless the title names other data."}, "image": {"alt": "Bump chart with a column for each measure and a line for each method that connects its numbered places. Several lines cross: some methods that are in the middle by segment-level Type@AV are near the top or the bottom by other measures."}}
table = measured(groups)
placed = ranks(table)
spread = {name: max(by.values()) - min(by.values()) for name, by in placed.items() if by}
moved = sorted(spread, key=spread.get, reverse=True)[:5]
columns = {key: MEASURES[key].title for key in next(iter(placed.values()), {})}
if groups:
    _ = rank_chart(placed, columns, told=moved, title=world)
else:
    _ = note("No runs to rank: avvp reproduce --profile medium")

# %% tags=["hide-input"]
if groups:
    compared = {key: agreement(table, key) for key in columns if key != "type_av"}
    pairs = len(table) * (len(table) - 1) // 2
    least = min(compared, key=lambda key: compared[key].tau)
    best = {key: min(placed, key=lambda name, key=key: placed[name][key]) for key in columns}
    firsts = list(dict.fromkeys(best.values()))
    said = (
        f"Of {pairs} pairs of methods, between {min(len(a.turned) for a in compared.values())} and "
        f"{max(len(a.turned) for a in compared.values())} change their order when another measure "
        f"than segment-level Type@AV is used; the farthest from it is "
        f"*{MEASURES[least].title}*, with a rank correlation of "
        f"{compared[least].tau:.2f}. "
        + (
            f"{firsts[0]} is first under all of them."
            if len(firsts) == 1
            else f"{len(firsts)} methods are first under some measure: {listed(firsts)}."
        )
        + f" The places of {listed([f'{name} (from {min(placed[name].values())} to {max(placed[name].values())})' for name in moved[:3]])} move most."
    )
else:
    said = "There is nothing to rank yet."
Markdown(said)

# %% [markdown]
# What each column is, how far its ranking agrees with the first (Kendall's $\tau$; 1 is the same
# order, 0 no relation, -1 the reverse), how many pairs turn, and how many of these are at least a point apart
# both before and after: those that no small change of a score turns back.

# %% tags=["hide-input"]
rows = [
    {
        "measure": measure.title,
        "what it is": measure.told + (" (less is better)" if measure.error else ""),
        "best": best[key],
        "τ": f"{compared[key].tau:.2f}" if key in compared else "",
        "turned": str(len(compared[key].turned)) if key in compared else "",
        "clearly": str(len(compared[key].clearly)) if key in compared else "",
    }
    for key, measure in MEASURES.items()
    if key in columns
]
lacking = [m.title for k, m in MEASURES.items() if groups and k not in columns]
show_text(rows, right=3) if rows else Markdown("Nothing to compare yet.")

# %% tags=["hide-input"]
Markdown(
    f"Left out, because not all of these runs have it: {listed(lacking)}. `avvp results complete` "
    "adds arrays to finished runs, `avvp results detection` PSDS."
    if lacking
    else "The numbers behind the places, in per cent:"
    if groups
    else ""
)

# %% tags=["hide-input"]
halves = [list(columns)[:5], list(columns)[5:]]  # a page is not as wide as all of them
Markdown(
    "\n\n".join(
        show(
            [
                {"method": name} | {MEASURES[key].title: by[key] for key in half}
                for name, by in table.items()
            ]
        ).data
        for half in halves
        if half
    )
)

# %% [markdown]
# With so few seeds of a method, a pair that is a point apart may still turn with the next ones:
# {doc}`20_significance` says how far apart two methods have to be. What follows takes the measures
# one by one.
#
# ## The threshold
#
# Probabilities become decisions at 0.5. A method whose probabilities are low, or high, without being
# worse ordered, loses by that. Every run keeps the ten numbers at nineteen thresholds, for the gate
# and the seconds alike.

# %% tags=["hide-input"]
SHOWN = ["linear", "AVSDN", "HAN", "MA (C)", "MA (R)", "MGN"]
shown = {name: own for name, own in groups.items() if name in SHOWN}


def curve_of(key: str, name: str, column: int) -> np.ndarray:
    return np.mean([seed.arrays[key][:, column] for seed in groups[name]], axis=0)


# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-thresholds", "caption": "Segment-level scores of six methods as the threshold moves from 0.05 to 0.95, means over seeds; the dotted line is the threshold in use, a ring marks the highest point of a line. On simulated LLP unless the title names other data."}, "image": {"alt": "Three panels, audio, visual and Type@AV, with a line for each of six methods: F-score against the decision threshold. The lines rise from low thresholds, stay nearly flat around one half and fall towards high ones; their highest points lie at different thresholds."}}
if shown:
    _ = score_curves(
        {
            kind: {name: curve_of("threshold_curve", name, METRICS.index(metric)) for name in shown}
            for kind, metric in (
                ("Audio", "segment/audio"),
                ("Visual", "segment/visual"),
                ("Type@AV", "segment/type_av"),
            )
        },
        THRESHOLDS,
        xlabel="threshold",
        mark=0.5,
        title=world,
    )
else:
    _ = note("No runs to draw: avvp reproduce --profile medium")

# %% [markdown]
# How much a better threshold would add, were one allowed to choose it on the videos that are scored.
# That is not allowed to a method, so the gain is what the fixed threshold can cost at most.

# %% tags=["hide-input"]
rows = []
for name, own in groups.items():
    picked = [best_threshold(seed) for seed in own]
    at_half = np.mean([seed.run.metrics["segment/type_av"] for seed in own])
    at_best = np.mean([score for _, score in picked])
    rows.append(
        {
            "method": name,
            "Type@AV at 0.5": f"{at_half:.1f}",
            "at the best": f"{at_best:.1f}",
            "gain": f"{at_best - at_half:+.1f}",
            "best threshold": ", ".join(sorted({f"{cut:.2f}" for cut, _ in picked})),
        }
    )
show_text(rows, right=4) if rows else Markdown("Nothing to show yet.")

# %% tags=["hide-input"]
said = ""
if groups:
    gains = {row["method"]: float(row["gain"]) for row in rows}
    most, fewest = max(gains, key=gains.get), min(gains, key=gains.get)
    turned = compared["best"]
    said = (
        f"The choice of 0.5 costs {most} the most, {gains[most]:.1f} points, and {fewest} the least, "
        f"{gains[fewest]:.1f}. "
        + (
            f"Were every method given its best threshold, {len(turned.turned)} of {pairs} pairs would "
            "change places."
            if turned.turned
            else "Were every method given its best threshold, no pair would change places."
        )
    )
Markdown(said)

# %% [markdown]
# ## The overlap
#
# A predicted event counts if it overlaps an annotated one by half: intersection over union, at least
# 0.5. With events of whole seconds in ten, and many of them ten seconds long
# ({doc}`16_how_much_localisation` counts LLP's), that forgives much.
# {numref}`fig-overlaps` asks for less and for more.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-overlaps", "caption": "Event-level scores of six methods as the required overlap (intersection over union) moves from 0.1 to 0.9, means over seeds; the dotted line is the overlap in use. On simulated LLP unless the title names other data."}, "image": {"alt": "Three panels, audio, visual and Type@AV, with a falling line for each of six methods: event-level F-score against the required overlap. The lines fall at different rates, and some cross."}}
if shown:
    _ = score_curves(
        {
            kind: {name: curve_of("overlap_curve", name, column) for name in shown}
            for kind, column in (("Audio", 0), ("Visual", 1), ("Type@AV", 3))
        },
        OVERLAPS,
        xlabel="required overlap",
        mark=0.5,
        title=world,
    )
else:
    _ = note("No runs to draw: avvp reproduce --profile medium")

# %% tags=["hide-input"]
said = ""
if groups:
    at = {name: curve_of("overlap_curve", name, 3) for name in groups}
    kept = {name: 100 * values[-1] / values[0] for name, values in at.items()}
    most, fewest = max(kept, key=kept.get), min(kept, key=kept.get)
    turns = [
        (first, second)
        for first in at
        for second in at
        if at[first][0] > at[second][0] and at[first][-1] < at[second][-1]
    ]
    said = (
        f"From an overlap of 0.1 to one of 0.9 {most} keeps {kept[most]:.0f} % of its event-level "
        f"Type@AV and {fewest} {kept[fewest]:.0f} %. "
        + (
            f"{len(turns)} of {pairs} pairs change their order in between."
            if turns
            else "No pair changes its order in between."
        )
    )
Markdown(said)

# %% [markdown]
# ## Heard only, seen only
#
# The task is to tell the modalities apart, and yet its scores never ask for that directly: who marks
# a dog as heard and seen is right about one of them at least. Two scores ask. With $GT^a$ and $GT^v$
# the annotated seconds, what is only heard and what is only seen are
#
# $$
# GT^{ao} = GT^a (1 - GT^v), \qquad GT^{vo} = GT^v (1 - GT^a),
# $$
#
# likewise for predictions, and the rest is scored as ever.

# %% tags=["hide-input"]
code(one_modality_only)

# %% [markdown]
# One thing is not as ever. A video in which nothing is there and nothing found scores 1, and for
# what is only seen that is most videos: a method that never says so would look good. So
# {numref}`fig-only` pools the seconds of all videos and classes.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-only", "caption": "F-scores of pooled seconds for what is heard without being seen, what is seen without being heard, and what is both, means over seeds. On simulated LLP unless the title names other data."}, "image": {"alt": "Dot plot with a row for each method and three markers in each, against the F-score in per cent: heard only, seen only, heard and seen. In most rows what is both lies far to the right of the other two."}}
presence = {
    name: [found for seed in own if (found := pooled_presence(seed))]
    for name, own in groups.items()
}
presence = {
    name: {kind: np.mean([found[kind] for found in own]) for kind in own[0]}
    for name, own in presence.items()
    if own
}
if presence:
    _ = scores_by_presence(presence, title=world)
else:
    _ = note("These runs have no counts of this kind: avvp results complete")

# %% tags=["hide-input"]
said = ""
if presence:
    top = {
        kind: max(presence, key=lambda name, kind=kind: presence[name][kind])
        for kind in ("audio", "visual", "audio_visual")
    }
    alone = {name: (by["audio"] + by["visual"]) / 2 for name, by in presence.items()}
    first, last = max(alone, key=alone.get), min(alone, key=alone.get)
    leader = best["type_av"]
    names = {"audio": "only heard", "visual": "only seen", "audio_visual": "heard and seen"}
    bests = [
        f"{name} is best at what is "
        + listed([f"{names[k]} ({presence[name][k]:.0f} %)" for k in names if top[k] == name])
        for name in dict.fromkeys(top.values())
    ]
    said = (
        f"{listed(bests)}. The mean of what is only heard and only seen goes from "
        f"{alone[last]:.0f} % ({last}) to "
        f"{alone[first]:.0f} % ({first}); {leader}, the first by Type@AV, has "
        f"{alone.get(leader, float('nan')):.0f} %."
    )
Markdown(said)

# %% [markdown]
# Why such scores may turn a ranking over: seconds in which a class is both heard and seen are the
# common case, and who marks both whenever a class is in the video is right about most of them. How
# many of the seconds that a method marks in either modality it marks in both, beside the annotation:

# %% tags=["hide-input"]
both_shares = {
    name: np.mean([share_of_both(seed.run) for seed in own], axis=0) for name, own in groups.items()
}
show(
    [
        {
            "": "annotation of the test videos",
            "heard and seen, % of seconds": next(iter(both_shares.values()))[0],
        }
    ]
    + [
        {"": name, "heard and seen, % of seconds": predicted}
        for name, (_, predicted) in both_shares.items()
    ]
) if groups else Markdown("Nothing to show yet.")

# %% tags=["hide-input"]
said = ""
if presence and "only" in columns:
    true = next(iter(both_shares.values()))[0]
    over = [name for name, (_, predicted) in both_shares.items() if predicted > true]
    said = (
        f"{len(over)} of {len(both_shares)} methods mark both more often than is annotated. "
        f"The ranking by what is only one of them has a rank correlation of "
        f"{compared['only'].tau:.2f} with that by Type@AV"
        + (
            ": here the published score does not reward telling the modalities apart."
            if compared["only"].tau < 0.3
            else "."
        )
    )
Markdown(said)

# %% [markdown]
# For comparison, the average over videos that the published scores take, in per cent:

# %% tags=["hide-input"]
show(
    [
        {"method": name}
        | {
            f"{kind}, {level}s": np.mean(
                [s.arrays["only/scores"][row, column] for s in groups[name]]
            )
            for row, level in enumerate(LEVELS)
            for column, kind in enumerate(("heard only", "seen only"))
        }
        for name in presence
        if all("only/scores" in seed.arrays for seed in groups[name])
    ]
) if presence else Markdown("Nothing to show yet.")

# %% [markdown]
# ## What is averaged
#
# The published score of a video is a mean over the classes that occur in it or are predicted, and
# the number printed is a mean over videos. Two other averages are as usual elsewhere: pool all
# seconds of all classes into one F-score (micro: frequent classes rule), or score each class over
# the whole test split and average (macro: rare ones count as much). Both follow from the counts that
# every run keeps.

# %% tags=["hide-input"]
KEYS = {
    "type_av": "mean over videos",
    "micro": "all seconds pooled",
    "classes": "mean over classes",
}
show(
    [
        {"method": name}
        | {told: by[key] for key, told in KEYS.items()}
        | {f"place, {told}": placed[name][key] for key, told in KEYS.items()}
        for name, by in table.items()
    ]
) if groups else Markdown("Nothing to show yet.")

# %% tags=["hide-input"]
said = ""
if groups:
    tallies = {
        name: np.mean([np.array(seed.run.counts)[0, :2] for seed in own], axis=0)
        for name, own in groups.items()
    }  # (2, C, 3)
    by_class = {
        name: np.array([[f_score_of(three) for three in modality] for modality in counts]).mean(0)
        for name, counts in tallies.items()
    }
    across = np.mean(list(by_class.values()), axis=0)
    order = across.argsort()
    said = (
        "Over all methods the classes furthest apart are "
        f"{label_name(int(order[-1]))} ({across[order[-1]]:.0f} %) and "
        f"{label_name(int(order[0]))} ({across[order[0]]:.0f} %): which average one takes decides "
        f"how much each of them weighs. Pooling turns {len(compared['micro'].turned)} pairs of "
        f"{pairs}, the mean over classes {len(compared['classes'].turned)}."
    )
Markdown(said)

# %% [markdown]
# ## All thresholds at once
#
# Sound-event detection, which has the same task for one modality, judges a system by the polyphonic
# sound detection score (PSDS, {cite}`psds`): the area under the curve of true-positive rate over false alarms an
# hour, as the threshold moves, class by class. Scenario 1 asks for 70 % of a detection to lie in the
# event and the reverse; scenario 2 asks for 10 %, and charges confusions of classes. We hand our
# scores to `sed_scores_eval` {cite}`sed_scores_eval`, in its own format. What is compared with a
# threshold is the smaller of a second's and its gate's probability:

# %% tags=["hide-input"]
code(decision_scores)

# %% tags=["hide-input"]
TERMS = {
    "dtc_threshold": "of a detection, at least so much lies in events (DTC)",
    "gtc_threshold": "of an event, at least so much is detected (GTC)",
    "cttc_threshold": "so much of a detection in another class is a confusion (CTTC)",
    "alpha_ct": "weight of confusions",
    "alpha_st": "weight of the spread over classes",
    "max_efpr": "false alarms an hour, up to",
}
show_text(
    [
        {"setting": told}
        | {
            name.replace("psds_", "PSDS "): "–"
            if (value := (settings | LIMITS)[key]) is None
            else f"{value:g}"
            for name, settings in SCENARIOS.items()
        }
        for key, told in TERMS.items()
    ],
    right=2,
)

# %% tags=["hide-input"]
detected = {
    name: [seed.detection for seed in own if seed.detection] for name, own in groups.items()
}
detected = {name: found for name, found in detected.items() if found}


def of_both(told: dict[str, str]) -> list[dict[str, object]]:
    return [
        {"method": name, "seeds": len(found)}
        | {
            f"{modality}: {words}": np.mean([getattr(x[modality], key) for x in found])
            for modality in ("audio", "visual")
            for key, words in told.items()
        }
        for name, found in detected.items()
    ]


rows = of_both({"psds_1": "PSDS 1", "psds_2": "PSDS 2"})
show(rows) if rows else Markdown("These runs have no such scores: `avvp results detection`.")

# %% tags=["hide-input"]
said = ""
if rows:
    tops = {
        key.replace(":", ""): max(rows, key=lambda row, key=key: row[key])["method"]
        for key in list(rows[0])[2:]
    }
    said = "; ".join(
        f"{top} has the highest {listed([key for key, other in tops.items() if other == top])}"
        for top in dict.fromkeys(tops.values())
    )
    said += ", in per cent of the largest possible area."
Markdown(said)

# %% [markdown]
# The same package finds the best threshold of each class. Below are F-scores of seconds, averaged
# over classes: with 0.5 for all of them, and with each class at its best, again chosen on the videos
# that are scored. Its F-scores at 0.5 are those of our own counts: a test compares them.

# %% tags=["hide-input"]
rows = of_both({"macro": "at 0.5", "macro_best": "at the best of each class"})
show(rows) if rows else Markdown("Nothing to show yet.")

# %% tags=["hide-input"]
said = ""
if rows:
    gained = {
        row["method"]: np.mean(
            [
                row[f"{m}: at the best of each class"] - row[f"{m}: at 0.5"]
                for m in ("audio", "visual")
            ]
        )
        for row in rows
    }
    least, most = min(gained, key=gained.get), max(gained, key=gained.get)
    said = (
        f"A threshold for each class would be worth between {gained[least]:.1f} ({least}) and "
        f"{gained[most]:.1f} points ({most}); it takes labelled seconds to find it."
    )
Markdown(said)

# %% [markdown]
# ## Are the probabilities probabilities?
#
# Whoever uses a parser rather than scoring it needs to know what 0.8 means.
# {numref}`fig-reliability` sorts what methods say into twenty bins and shows how often it is true: a
# calibrated method lies on the diagonal, one that is too sure below it. The truth of a video's
# probability is its weak label. MGN's score of a second may exceed 1 and counts in the last bin.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-reliability", "caption": "Reliability of the probabilities of six methods, one seed of each: how often what is said with a probability is true, for videos and for seconds of either modality; bins with fewer than 50 entries are left out, and scores above 1, which MGN gives to seconds, are drawn at 1. On simulated LLP unless the title names other data."}, "image": {"alt": "Six panels, one a method, each with three lines against a dotted diagonal: video, second heard, second seen. Lines bend below or above the diagonal by different amounts."}}
if shown:
    _ = reliability_diagrams(
        {
            name: {
                kind: own[0].arrays[f"reliability/{key}"]
                for kind, key in (
                    ("video", "video"),
                    ("audio", "segment_audio"),
                    ("visual", "segment_visual"),
                )
            }
            for name, own in shown.items()
        },
        title=world,
    )
else:
    _ = note("No runs to draw: avvp reproduce --profile medium")

# %% [markdown]
# The mean distance from the diagonal, weighted by how often each bin occurs, in percentage points
# (the expected calibration error of {cite}`calibration`).
# Nearly all entries are classes that are absent and said to be, so small numbers hide a lot; the
# second table leaves out what is said with less than 0.05.

# %% tags=["hide-input"]
CALIBRATED = {
    "video": "video",
    "heard": "audio",
    "seen": "visual",
    "second, heard": "segment_audio",
    "second, seen": "segment_visual",
}


def errors(*, first: int) -> list[dict[str, object]]:
    return [
        {"method": name}
        | {
            told: np.mean([calibration_error(s.arrays[f"reliability/{key}"][first:]) for s in own])
            for told, key in CALIBRATED.items()
        }
        for name, own in groups.items()
    ]


show(errors(first=0)) if groups else Markdown("Nothing to show yet.")

# %% tags=["hide-input"]
show(errors(first=1)) if groups else Markdown("")

# %% tags=["hide-input"]
said = ""
if groups:
    apart = {
        row["method"]: (row["second, heard"] + row["second, seen"]) / 2 for row in errors(first=1)
    }
    least, most = min(apart, key=apart.get), max(apart, key=apart.get)
    said = (
        f"Of what is said of seconds and not dismissed (the mean of the last two columns), that of "
        f"{least} is closest to the truth, {apart[least]:.0f} points off, and that of {most} "
        f"furthest, {apart[most]:.0f} points. Training compares probabilities "
        "of videos with labels of videos. What a second's probability is follows from how a method "
        "pools seconds, and no loss asks it to be calibrated."
    )
Markdown(said)

# %% [markdown]
# ## What to make of it
#
# The ranking by Type@AV at one threshold is one of several that the same parsings support. Where a
# pair of methods turns between measures, "better" is a statement about the measure. Three habits
# would cost a paper little: print the score at its best threshold beside that at 0.5, print what is
# only heard and only seen, and publish predictions, so that others can score them their own way.
# For the last one this package has a command: `avvp export --run RUN.json --format dcase --out DIR`
# writes what sed_eval {cite}`sed_eval` and sed_scores_eval read, and `avvp evaluate --predictions DIR` reads what any
# other system wrote.
