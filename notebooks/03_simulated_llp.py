# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A simulated LLP
#
# The features of LLP cannot be handed out with this book. What can be handed out is a world that
# resembles it: labels drawn from statistics that were measured on the real annotations, and
# features drawn given the labels. Everything that the book trains by default, it trains in that
# world. This chapter says how the world is made, shows how near its labels come to the real ones,
# and how its difficulty was set; then it says plainly what cannot be learnt from it.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
from dataclasses import fields

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

from avvp import LABELS
from avvp.calibration import (
    FIRST_DATA_SEED,
    MAX_CONFIRMATIONS,
    MAX_TRIALS,
    SEARCHED,
    TARGET,
    TRIAL_EPOCHS,
    TRIAL_SIZES,
    distance,
    read_log,
    scores_of,
)
from avvp.data import load
from avvp.data.label_model import draw_seconds, draw_weak
from avvp.data.simulate import FAMILIES, STREAMS, SimulatorConfig, draw_blocks, world_of
from avvp.data.statistics import (
    dense_statistics,
    labels_together,
    read_statistics,
)
from avvp.experiments import REGISTRY
from avvp.figures import (
    MODALITY_COLOURS,
    MODALITY_NAMES,
    TRUTH_COLOUR,
    calibration_trials,
    label_name,
    run_lengths,
    use_style,
)
from avvp.metrics import METRICS, evaluate
from avvp.reference_lines import read_lines
from avvp.results import RESULTS, RUNS, find_runs, summarise
from avvp.tables import provenance_table

use_style()
torch.manual_seed(0)


def show(table: pd.DataFrame, note: str = "") -> Markdown:
    written = table.to_markdown(index=False, floatfmt=".1f")
    return Markdown(f"{written}\n\n{note}")


# %% [markdown]
# ## Labels
#
# The label model of `avvp/data/label_model.py` knows one small table, `label_statistics.json`,
# which `avvp data statistics` measured on the released annotations. It draws a video in three
# steps.
#
# 1. **Which classes.** The number of weak labels, then the first class, then each further class by
#    how often it occurs together with those already drawn.
# 2. **Which modality, and how long.** For every label: heard only, seen only, or both; and whether
#    it lasts all ten seconds. Both are drawn class by class: Speech is mostly heard only, a cat is
#    often only seen.
# 3. **Which seconds.** What does not last ten seconds walks through a Markov chain over *off*,
#    *heard*, *seen* and *both*, with transitions that change from second to second.
#
# The next cell draws ten thousand videos with the statistics of the test set and measures them as
# the real ones were measured.

# %%
generator = torch.Generator().manual_seed(0)
weak = draw_weak(10_000, "test", generator)
heard, seen = draw_seconds(weak, generator)
drawn = dense_statistics(weak, heard, seen)
measured = read_statistics()
real = measured["dense"]["val+test"]

# %% [markdown]
# Class counts first: the share of videos in which a class is heard, and in which it is seen.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-sim-counts", "caption": "How often each class is heard (left) and seen (right): LLP's validation and test videos beside simulated ones. A point on the line is a class with the same share in both."}, "image": {"alt": "Two scatter plots of 25 points each, both axes logarithmic, simulated share over real share. All points lie close to the diagonal. Speech is far up in the left plot and among the others in the right one."}}
videos = sum(measured["splits"][split]["videos"] for split in ("val", "test"))
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True, sharey=True)
for ax, modality in zip(axes, ("audio", "visual"), strict=True):
    x = 100 * np.array(real["pairs"][modality]) / videos
    y = 100 * np.array(drawn["pairs"][modality]) / len(weak)
    ax.plot([0.5, 70], [0.5, 70], color=TRUTH_COLOUR, linewidth=0.8)
    ax.plot(x, y, "o", color=MODALITY_COLOURS[modality])
    speech = LABELS.index("Speech")
    ax.annotate("Speech", (x[speech], y[speech]), xytext=(-46, -4), textcoords="offset points")
    ax.set(xscale="log", yscale="log", title=MODALITY_NAMES[modality])
    ax.set_xlabel("real share of videos (%)")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
axes[0].set_ylabel("simulated share of videos (%)")
plt.show()

# %% [markdown]
# Whether a label stands for sound, for image, or for both decides how hard weak supervision is:
# these are the labels that mislead one modality.

# %% tags=["hide-input"]
cases = {"heard_only": "heard only", "seen_only": "seen only", "both": "heard and seen"}


def shares(statistics: dict, label: int | slice = slice(None)) -> list[float]:
    counts = [np.sum(np.array(statistics["weak_pairs"][case])[label]) for case in cases]
    return [100 * count / sum(counts) for count in counts]


rows = [("all classes", slice(None))] + [
    (label_name(name), LABELS.index(name)) for name in ("Speech", "Cat", "Clapping", "Blender")
]
show(
    pd.DataFrame(
        [
            {"labels of": name}
            | {
                f"{text} (%), {world}": share
                for world, statistics in (("real", real), ("simulated", drawn))
                for text, share in zip(cases.values(), shares(statistics, label), strict=True)
            }
            for name, label in rows
        ]
    )
)

# %% [markdown]
# How long events last: most of what is seen lasts ten seconds, less of what is heard does. Event
# scores hang on this shape.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-sim-runs", "caption": "Lengths of events, simulated (bars) beside LLP's validation and test videos (diamonds)."}, "image": {"alt": "Three histograms of event lengths from 1 to 10 seconds: heard, seen, heard and seen. In each the diamonds of the real annotations sit near the tops of the simulated bars: many events of 1 or 2 seconds, few of 5 to 9, and a tall bar at 10."}}
run_lengths(
    {
        world: {m: statistics["run_length"][m]["all"] for m in MODALITY_NAMES}
        for world, statistics in (("simulated", drawn), ("real", real))
    }
)
plt.show()

# %% [markdown]
# And which labels occur together. A pair of classes is a point; the training set, which is the
# larger one, gives the real counts.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-sim-together", "caption": "Videos that have two labels at once, for each of the 300 pairs of classes, per 10,000 videos: LLP's training set beside simulated videos."}, "image": {"alt": "Scatter plot of simulated over real counts on logarithmic axes. The points follow the diagonal from 1 to about 800, with more scatter below 10."}}
train_weak = draw_weak(10_000, "train", generator)
upper = np.triu_indices(len(LABELS), k=1)
x = np.array(measured["together"]["train"])[upper]
y = np.array(labels_together(train_weak))[upper]
figure, ax = plt.subplots(figsize=(4.6, 3.6))
ax.plot([1, 1000], [1, 1000], color=TRUTH_COLOUR, linewidth=0.8)
ax.plot(x, y, "o", color="#0072B2", markersize=4, alpha=0.6)
ax.set(xscale="symlog", yscale="symlog", xlim=(-0.5, 2000), ylim=(-0.5, 2000))
ax.set(xlabel="real videos with both labels", ylabel="simulated videos with both")
plt.show()

# %% [markdown]
# The sharpest test of labels alone needs no features. The reference lines of {doc}`02_scoring` ask
# what a parser would score that knows the labels of a video and nothing about time; they depend on
# everything above at once.

# %% tags=["hide-input"]
weak_everywhere = weak[..., None].expand_as(heard)
lines = {
    "weak label everywhere": (weak_everywhere, weak_everywhere),
    "true label of each modality everywhere": tuple(
        mask.any(2, keepdim=True).expand_as(mask) for mask in (heard, seen)
    ),
}
names = {"weak label everywhere": "weak", "true label of each modality everywhere": "modality"}
committed = read_lines()["splits"]["test"]["lines"]
headings = dict(
    zip(METRICS[:5], ("audio", "visual", "audio-visual", "Type@AV", "Event@AV"), strict=True)
)
show(
    pd.DataFrame(
        [
            {"segment level": f"{name}, {world}"}
            | {heading: ten[metric] for metric, heading in headings.items()}
            for name, prediction in lines.items()
            for world, ten in (
                ("real", committed[names[name]]),
                ("simulated", evaluate(*prediction, heard, seen)),
            )
        ]
    )
)

# %% [markdown]
# The simulated labels are a little kinder, by the amounts in the table: they have no weak label
# that contradicts the seconds, while LLP has some ({doc}`01_task_and_data`), and they treat the
# classes of one video as independent once they are chosen.
#
# ## Features
#
# A second of a stream is a *latent vector* first. With noise of unit variance as the measure,
#
# $$
# z_t=\sum_{c}\,\alpha_c\,m_{c,t}\,d_{c,k}\;+\;\beta\,b\;+\;\gamma\,S e_t\;+\;\varepsilon_t ,
# $$
#
# where $m_{c,t}$ says whether class $c$ is on, $d_{c,k}$ is the unit direction of kind $k$ of that
# class, $\alpha_c$ its amplitude in this video, $b$ a background that lasts the whole video, $e_t$
# a style that sound and image share second by second, $S$ the fixed directions in which a stream shows
# it, and $\varepsilon_t$ noise; $\beta$ and $\gamma$ are amplitudes, `background` and
# `shared_dynamics` in the configuration. A class's
# direction is part family, part class, part kind: an electric and an acoustic event of one class
# differ, and two engines sound alike. The feature is a fixed random projection of $z_t$ to the
# released width, then a rectifier, because the released features are outputs of a ReLU.

# %%
config = SimulatorConfig()
show(
    pd.DataFrame(
        [
            {"stream": s.name, "latent": s.latent, "width": s.width, "modality": s.modality}
            for s in STREAMS
        ]
    )
)

# %% [markdown]
# One video's evidence: the projection of each second's latent vector on the directions of two
# classes, before any learning. Noise and background are of the size of the step that an event
# makes in a single dimension, and a model has to find the dimensions first.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-sim-evidence", "caption": "A simulated video: the component of each second's latent audio vector along the directions of a class that is heard and of one that is not. The shaded seconds are those in which the first is annotated as heard."}, "image": {"alt": "Two step-like curves over ten seconds. The curve of the class that is heard stands several units higher during the marked seconds than outside them; the curve of the absent class stays low throughout."}}
block = next(draw_blocks(config, "test"))
partial = block.audio.any(2) & ~block.audio.all(2)
video, label = next(
    (n, c)
    for n, c in partial.nonzero().tolist()
    if 3 <= block.audio[n, c].sum() <= 6
    and block.weak[n].sum() == 1
    and (block.latents["audio"][n] @ world_of(config).directions["audio"][c].T).max() > 5
)
absent = next(c for c in range(len(LABELS)) if c != label and not block.weak[video, c])
figure, ax = plt.subplots(figsize=(7, 2.8))
clock = np.arange(10) + 0.5
for c, colour, marker in ((label, MODALITY_COLOURS["audio"], "o"), (absent, "#777777", "s")):
    along = block.latents["audio"][video] @ world_of(config).directions["audio"][c].T
    told = "heard" if c == label else "absent"
    ax.plot(
        clock, along.max(1).values, color=colour, marker=marker, label=f"{label_name(c)} ({told})"
    )
for t in block.audio[video, label].nonzero().flatten().tolist():
    ax.axvspan(t, t + 1, color=MODALITY_COLOURS["audio"], alpha=0.15, linewidth=0)
ax.set(xlim=(0, 10), xlabel="time in the video (s)", ylabel="evidence (units of noise)")
ax.legend(loc="upper left", bbox_to_anchor=(0, 1.22), ncols=2)
plt.show()

# %% [markdown]
# ## A number for every assumption
#
# A method works when the world is as its authors supposed. So each supposition is a named number,
# and a chapter can turn it. The last column says where a value comes from: a *search* that brought
# HAN to its published row, or *fixed beforehand*, because HAN's row cannot tell it.

# %% tags=["hide-input"]
MEANINGS = {
    line.split(":", 1)[0].strip(): line.split(":", 1)[1].strip()
    for line in (
        "world: seed of the directions and projections",
        "strength_audio: amplitude of an event in the sound, in units of noise",
        "strength_visual: the same in the image",
        "gain_spread: log-standard deviation of the amplitude between events",
        "missing_audio: share of heard events that leave no evidence",
        "missing_visual: share of seen events that leave no evidence",
        "distractors_audio: events of absent classes in the sound, a video",
        "distractors_visual: events of absent classes in the image, a video",
        "distractor_strength: their amplitude, as a share of an event's",
        "family_share: share of a direction that the family has in common",
        "sub_classes: kinds of a class",
        "sub_class_share: share of a direction that belongs to the kind alone",
        "background: amplitude of what lasts the whole video",
        "smear: share of a second's evidence that leaks into its neighbours",
        "shared_dynamics: amplitude of the style that sound and image share",
        "asynchrony: shift of visual evidence against its annotation, in seconds",
        "one_modality: factor on the odds of heard only and seen only",
    )
}
show(
    pd.DataFrame(
        [
            {
                "parameter": f"`{f.name}`",
                "value": f"`{getattr(config, f.name):g}`",
                "what it is": MEANINGS[f.name],
                "set by": "search" if f.name in SEARCHED else "fixed beforehand",
            }
            for f in fields(config)
            if f.name in MEANINGS
        ]
    )
)

# %% [markdown]
# The families, too, are an assumption:

# %% tags=["hide-input"]
Markdown("\n".join(f"- {', '.join(label_name(name) for name in family)}" for family in FAMILIES))

# %% [markdown]
# ## Calibration
#
# How hard should the world be? One published row is allowed to say so: HAN's. The rules were fixed
# before the search. Only HAN is trained; only the searched parameters move; a trial is small and is
# scored on *validation* videos of data seeds that no result uses. What is fixed, among it the
# asynchrony and the shared dynamics on which later methods depend, was committed before any other
# method was run.

# %% tags=["hide-input"]
trials = read_log(RESULTS / "calibration" / "trials.jsonl")
confirmations = read_log(RESULTS / "calibration" / "confirmations.jsonl")
best = min(range(len(trials)), key=lambda i: distance(scores_of(trials[i])))
Markdown(
    f"- A trial trains on {TRIAL_SIZES['train']:,} videos for {TRIAL_EPOCHS} epochs and is scored "
    f"on {TRIAL_SIZES['val']:,}; data seeds start at {FIRST_DATA_SEED}.\n"
    f"- {len(trials)} trials of at most {MAX_TRIALS} were run, in "
    f"{sum(t['seconds'] for t in trials) / 3600:.1f} hours of one processor core.\n"
    f"- {len(confirmations)} of at most {MAX_CONFIRMATIONS} confirmations at full scale ran to their "
    "end; `results/calibration/README.md` tells of those that did not."
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-sim-calibration", "caption": "The search, on simulated validation data: each trial's Type@AV and Event@AV at segment level, in the order they were run, beside HAN's published scores on LLP (lines) and the full-scale confirmations (stars)."}, "image": {"alt": "Scores of about two dozen small trials over their number. They begin near the published lines, drop and scatter widely during the random phase, and come back to within ten points below the lines. Stars at the right edge, the runs at full scale, lie near the lines."}}
calibration_trials(trials, confirmations, TARGET, ("segment/type_av", "segment/event_av"))
plt.show()

# %% [markdown]
# A small run scores lower than a full one. The difference is measured once, where a trial and a
# confirmation share their parameters, and added to the others.
#
# The result: HAN trained on ten thousand simulated videos and scored on the simulated *test* split,
# beside the row it was calibrated to. The distance is the honest summary; two points was the goal
# for each of the ten.

# %% tags=["hide-input"]
# The published book shows what is committed, whatever lies in runs/.
roots = [RESULTS] if profile == "published" else [RESULTS, RUNS]
runs = find_runs(roots, data="sim", profile="full", experiment="han/han")
if runs:
    summary = summarise(runs.values())
    table = pd.DataFrame(
        [
            {
                "metric": metric,
                "published, LLP": TARGET[metric],
                "full scale, simulated": summary.metrics[metric].mean,
                "difference": summary.metrics[metric].mean - TARGET[metric],
            }
            for metric in METRICS
        ]
    )
    worst = table["difference"].abs().max()
    outcome = show(
        table,
        f"Over {summary.runs} training seeds the largest of the ten differences is {worst:.1f} "
        f"points: the goal of two points is {'met' if worst <= 2 else 'missed'}.",
    )
else:
    outcome = Markdown(
        "No full-scale run of HAN lies in `results/` or `runs/`; "
        "`avvp reproduce --profile full --only han/han` makes one."
    )
display(outcome)

# %% [markdown]
# ## Two rows that frame every other
#
# Below HAN stands a model that could not be simpler: one linear layer a second and modality, and
# the mean over time. If it came near HAN, the simulated features would give everything away and
# attention and pooling would have nothing to do. Above HAN stands an *oracle*: a decoder that knows
# the directions, the amplitudes and the label statistics, and infers the rest. What it misses is hard
# for any method: events without evidence, evidence without events, noise. It is close to the best
# decoder and not exactly it, since it takes one modality and one event at a time.

# %% tags=["hide-input"]
frames = {
    "reference/linear": "linear, mean pooling",
    "han/han": "HAN",
    "reference/oracle": "oracle",
}
framed = {}
for size in ("full", "medium"):
    found = {name: find_runs(roots, data="sim", profile=size, experiment=name) for name in frames}
    if all(found.values()):
        framed = {name: summarise(runs.values()) for name, runs in found.items()}
        break
if framed:
    gap = (
        framed["han/han"].metrics["segment/type_av"].mean
        - framed["reference/linear"].metrics["segment/type_av"].mean
    )
    framing = show(
        pd.DataFrame(
            [
                {f"simulated LLP, profile {size}": frames[name], "seeds": summary.runs}
                | {text: summary.metrics[metric].mean for metric, text in headings.items()}
                for name, summary in framed.items()
            ]
        ),
        f"HAN is {gap:.1f} points of Type@AV above the linear floor: "
        f"{'more' if gap >= 5 else 'less'} than the five that the design asks for.",
    )
else:
    framing = Markdown(
        "The three rows have not been run at one profile: `avvp reproduce --profile medium` does."
    )
display(framing)

# %% [markdown]
# The linear floor is low for a reason worth knowing: a mean over ten seconds and two modalities can
# only be near one if *every* second is, so a short event hardly brings the video's probability over
# one half. The gate then removes it. Pooling with attention is what lifts that limit, and
# {doc}`05_han` shows how.

# %% tags=["hide-input"]
floor = REGISTRY["reference/linear"].training
Markdown(
    f"The floor is trained with HAN's loss, at a learning rate of {floor.learning_rate:g} and for "
    f"{floor.epochs} epochs, which is what it takes to converge."
)

# %% [markdown]
# ## What this world cannot tell
#
# - **A score here is not a score on LLP.** HAN's row was made to agree. That the simulated HAN
#   scores what the published one does is a calibration, not a reproduction.
# - **A method's gain depends on the parameter it exploits.** HAN's row does not identify the
#   asynchrony, the shared dynamics, or how confusable families are. Where another method wins or
#   loses because of one of these, the verdict is about the simulator, and the book says *depends
#   on* with the parameter's name.
# - **Features are linear in what they show**, up to a rectifier. Real networks respond to context,
#   saturate, and fail on whole videos at once.
# - **Classes do not interact** beyond occurring together. In LLP, cheering starts when the ball
#   drops.
# - **How training goes.** At its first learning rate HAN is unsteady in this world: validation can
#   fall for some epochs, and the epoch that is kept is an early one ({doc}`05_han` draws the
#   curves). Nothing published says whether LLP is as rough.
# - **The annotators of this world make no mistakes.** LLP's do, as the first chapter counts.
#
# ## Use it
#
# `avvp data simulate --profile medium --seed 0 --out sim.h5` writes a data set to a file, in the
# schema of the real one. In Python the configuration is a source of its own, and a real folder of
# annotations may stand in for sampled labels: `SimulatorConfig(labels="path/to/annotations")`.

# %%
small = SimulatorConfig(train=8, val=8, test=8, asynchrony=2.0)
videos = load(small, "val")
videos.ids[:2], tuple(videos.visual_2d.shape), videos.fingerprint

# %% [markdown]
# ## Where the numbers come from

# %% tags=["hide-input"]
provenance_table(["han/han", "reference/linear", "reference/oracle"], profile=profile, data=data)
