# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where the field went
#
# The four papers of this book are from 2020 to 2022. Nothing below was run here: these are scores
# that others printed, most of them later, each beside the place where it was read. They answer two
# questions that a newcomer has. Which half of the problem has become easier since? And how far does
# the benchmark still reach?

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
from collections import Counter

import numpy as np
from IPython.display import Markdown

from avvp.cells import listed, show, show_text
from avvp.figures import use_style
from avvp.figures.later import between_lines
from avvp.later_work import SOURCES, later_work
from avvp.metrics import METRICS
from avvp.published import published
from avvp.reference_lines import LINES, printed_results, read_lines
from avvp.tables import KINDS

use_style()
later = later_work()
same_features = [work for work in later if not work.features]
han = published("ma", "Table 1", "HAN")
seeds_best = {key: values[-1] for key, values in printed_results().items()}
lines = read_lines()["splits"]["test"]["lines"]

# %% [markdown]
# ## What was printed
#
# No row was checked against its own paper: take it as what the source says of the method. CVCMS was
# out before MGN, which names it and leaves it out of its tables. All but
# the last use the features of this book. CLIP and CLAP are networks trained on large
# collections of captioned images and of captioned sounds; with them the task is no longer the same.


# %% tags=["hide-input"]
def printed(level: str):
    return show_text(
        [
            {"method": work.title, "venue": work.venue or "–"}
            | {name: f"{work.ten[f'{level}/{kind}']:.1f}" for kind, name in KINDS.items()}
            for work in later
        ]
    )


Markdown(
    "F-scores in per cent at segment level on LLP, as others print them; none was computed "
    "here.\n\n" + printed("segment").data
)

# %% tags=["hide-input"]
Markdown(
    "F-scores in per cent at event level on LLP, as others print them; none was computed here."
    "\n\n" + printed("event").data
)

# %% [markdown]
# Where the rows of both tables were read:

# %% tags=["hide-input"]
Markdown(
    "\n".join(
        f"- {told}: {listed([work.title for work in later if work.source == source])}"
        for source, told in SOURCES.items()
    )
)

# %% [markdown]
# ## Between two lines
#
# {doc}`16_how_much_localisation` scores predictors that need no features. Two of them frame this
# field. The first knows the weak label of every test video and marks it everywhere. The second also
# knows which modality each label belongs to, and still nothing about time. Both were computed from
# the annotations, so they can be set beside what anyone prints.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-later", "caption": "Segment-level scores on LLP printed by others than the four papers (dots, none computed here; rows in the order of the table above), the best score that the four papers print for each metric, HAN's, and two predictors that mark whole videos, computed from LLP's test annotations: with the true weak label in both modalities, and with the true label of each modality."}, "image": {"alt": "Five panels, one for each of audio, visual, audio-visual, Type@AV and Event@AV, with a dot for each of fourteen later results and four upright lines. In the visual panels the dots lie well right of HAN and of the weak label; in the audio panel and for Event@AV all dots lie left of the line of the weak label. The line of the true modality labels lies to the right of every dot in every panel."}}
_ = between_lines(
    {work.title: [work.ten[f"segment/{kind}"] for kind in KINDS] for work in later},
    {
        "HAN, as printed": [han[f"segment/{kind}"] for kind in KINDS],
        "best in the papers' tables": [seeds_best[f"segment/{kind}"] for kind in KINDS],
        "weak label everywhere": [lines["weak"][f"segment/{kind}"] for kind in KINDS],
        "modality labels everywhere": [lines["modality"][f"segment/{kind}"] for kind in KINDS],
    },
    metrics=list(KINDS.values()),
)

# %% [markdown]
# ## Which half became easier
#
# A score of a modality needs the right class, in the right modality, at the right time. What a
# method gained over HAN can be set against what is left to the line of the modality labels, which
# has the first two by definition and the third not at all.

# %% tags=["hide-input"]
best = {key: max(same_features, key=lambda work: work.ten[key]) for key in METRICS}
show(
    [
        {
            "metric": f"{name}, {level} level",
            "HAN": han[key],
            "best later, same features": f"{best[key].ten[key]:.1f} ({best[key].method})",
            "gained": best[key].ten[key] - han[key],
            "weak label everywhere": lines["weak"][key],
            "modality labels everywhere": lines["modality"][key],
        }
        for level in ("segment", "event")
        for kind, name in KINDS.items()
        for key in [f"{level}/{kind}"]
    ]
)

# %% tags=["hide-input"]
gained = {key: best[key].ten[key] - han[key] for key in METRICS}
under_weak = [
    f"{name} at {level} level"
    for level in ("segment", "event")
    for kind, name in KINDS.items()
    if all(work.ten[f"{level}/{kind}"] < lines["weak"][f"{level}/{kind}"] for work in later)
]
over = sum(work.ten["segment/type_av"] > lines["weak"]["segment/type_av"] for work in later)
dropped = {
    "HAN": han["segment/type_av"] - han["event/type_av"],
    "later, in the median": float(
        np.median([work.ten["segment/type_av"] - work.ten["event/type_av"] for work in later])
    ),
    LINES["weak"]: lines["weak"]["segment/type_av"] - lines["weak"]["event/type_av"],
}
over_modality = sum(work.ten[key] > lines["modality"][key] for work in later for key in METRICS)
sources = Counter(SOURCES[work.source] for work in later)
Markdown(
    f"With the same features the best printed score rose by {gained['segment/visual']:.1f} points "
    f"for what is seen and by {gained['segment/audio']:.1f} for what is heard. The gain is where "
    "{doc}`09_modality_labels` would look for it: the weak label is nearly always heard and often "
    "not seen, so a method that learns which labels do not belong to the image gains there, and "
    "says little about time. "
    f"{over} of {len(later)} rows are above the weak label, marked everywhere, in Type@AV. No row "
    f"is above it for {listed(under_weak)}, where that predictor, which looks at no video but knows "
    "its label, still wins. "
    + (
        f"In {over_modality} of {len(later) * len(METRICS)} cells a printed score passes the line "
        "of the modality labels: there, something about time must have been learnt. "
        if over_modality
        else "Not one printed score reaches the line of the modality labels: everything printed so "
        "far could be had by labelling whole videos, if one labelled them right. "
    )
    + "From segments to events Type@AV falls by "
    + listed([f"{value:.1f} points ({name})" for name, value in dropped.items()])
    + f". The rows come from {len(sources)} places."
)

# %% [markdown]
# ## What this book would try next
#
# None of the following was done on LLP, and some only in part on the simulation. Each is a question that a chapter of this book left open, with
# the place that left it.
#
# - **Score the events that end.** {doc}`16_how_much_localisation` shows how much of the benchmark a
#   predictor without any sense of time gets. A second number beside the ten, over events shorter
#   than the clip, as that chapter computes for our runs, would cost nothing and would tell methods
#   apart that the ten do not.
# - **Localise on purpose.** {doc}`11_does_grouping_localise` finds that MGN's assignment of seconds
#   carries no time, and a small change that gives it some at a cost in the usual score. Whether the
#   two can be had together is open.
# - **Refine by modality, honestly.** {doc}`09_modality_labels` counts which removed labels were right.
#   It could be counted on the validation split of LLP too, which has annotated seconds; a paper that
#   removes labels could print that count.
# - **Ask in which world.** {doc}`18_when_does_each_idea_work` moves one property of simulated videos at
#   a time. The same could be done on real ones, by splitting LLP's test videos by asynchrony or by
#   the share of one-modality events, once features are at hand.
# - **More seeds, fewer points.** {doc}`20_significance` says how large a difference on 1,200 videos must
#   be. Most of the steps in the tables above are smaller than that.
# - **Better features first.** The largest step in Type@AV at segment level in the first table, to its
#   last row, changes the features and not the method. Every method of this book runs on any features of the same layout ({doc}`21_run_it_on_llp`).
