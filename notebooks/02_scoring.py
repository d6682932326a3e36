# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How parsing is scored
#
# A parser says, for each of 25 classes and each of ten seconds, whether the class is heard and
# whether it is seen. Four papers compare such answers by ten numbers, and every table of
# results in this book shows some of those ten. They are F-scores, but *F-score* leaves a lot open: what one unit of
# counting is, in which order averages are taken, what a video without any event is worth. The
# papers' text decides little of this; their shared evaluation code decides all of it. This chapter
# takes the ten numbers apart on examples small enough to check by hand, and then asks what they
# reward: how far does a "parser" get that never looks at a video?

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import time

import pandas as pd
import torch
from IPython.display import Markdown

from avvp import LABELS, Parsing, decode
from avvp.events import Run, runs_to_segments, segments_to_runs
from avvp.figures import event_matching, label_name, score_lines, timeline, use_style
from avvp.metrics import (
    LEVELS,
    METRICS,
    MODALITIES,
    count,
    evaluate,
    evaluate_videos,
    f_score,
)
from avvp.published import published
from avvp.reference_lines import LINES, printed_results, read_lines, standing

use_style()


HEADINGS = {
    "audio": "audio",
    "visual": "visual",
    "audio_visual": "audio-visual",
    "type_av": "Type@AV",
    "event_av": "Event@AV",
}


def show(table: pd.DataFrame, digits: int = 1) -> Markdown:
    return Markdown(table.to_markdown(index=False, floatfmt=f".{digits}f"))


def by_level(rows: dict[str, dict[str, str]], note: str) -> Markdown:
    """Two tables, one a level, of texts by the keys of METRICS; the note stands below."""
    tables = []
    for level in LEVELS:
        table = pd.DataFrame(
            [
                {
                    f"{level} level": name,
                    **{heading: row[f"{level}/{kind}"] for kind, heading in HEADINGS.items()},
                }
                for name, row in rows.items()
            ]
        )
        align = ("left", *["right"] * len(HEADINGS))
        tables.append(table.to_markdown(index=False, colalign=align, disable_numparse=True))
    return Markdown("\n\n".join([*tables, note]))


# %% [markdown]
# ## From probabilities to decisions
#
# A model returns probabilities: one for each class and second in each modality, and beside them
# probabilities that the class occurs *somewhere* in the video, in the sound (`audio`), in the image
# (`visual`), or in either (`video`). A decision is on where the second's probability is at least
# one half. Most rules then ask a second question of the video-level probability, the *gate*: a
# class that is unlikely to occur at all is removed from every second.
#
# HAN {cite}`han`, Cross-Modal learning {cite}`cross_modal` and MGN {cite}`mgn` gate both modalities
# by the joint `video` probability; MA {cite}`ma` gates each modality by its own. So two rows of one
# published table may have been decided by different rules. The next cell makes up the probabilities
# of one video in which the rules disagree: Speech is likely to be heard and unlikely to be seen,
# and Clapping has a joint probability a little below one half.

# %%
speech = LABELS.index("Speech")
clapping = LABELS.index("Clapping")
unlikely = torch.full((1, 25), 0.05)
video, audio, visual = (unlikely.clone() for _ in range(3))
video[0, [speech, clapping]] = torch.tensor([0.80, 0.45])
audio[0, [speech, clapping]] = torch.tensor([0.90, 0.55])
visual[0, [speech, clapping]] = torch.tensor([0.30, 0.20])
heard, seen = torch.full((2, 1, 10, 25), 0.05)
heard[0, 0:5, speech] = 0.9
seen[0, 2:6, speech] = 0.6
heard[0, 7:9, clapping] = 0.7
parsing = Parsing(video, audio, visual, heard, seen, extras={})

# %% tags=["hide-input"]


def spoken(mask: torch.Tensor) -> str:
    runs = segments_to_runs(mask)
    return ", ".join(f"{label_name(r.label)} {r.onset} to {r.offset} s" for r in runs) or "nothing"


show(
    pd.DataFrame(
        [
            {"gate": name, "heard": spoken(decided[0]), "seen": spoken(decided[1])}
            for name, gate in (("joint", "video"), ("by modality", "modality"), ("none", None))
            for decided in [decode(parsing, gate=gate)]
        ]
    )
)

# %% [markdown]
# The joint gate lets a class pass in the image because it is heard, and drops a class that only one
# modality believes in. Neither rule is better by design: the first trusts that modalities agree,
# the second that they may not. `avvp.decode` has both, and every result table of this book
# states the gate of each row.
#
# ## Seconds and events
#
# Scoring compares two pairs of masks, the predicted and the annotated one, for sound and for image.
# A third pair follows from them: an *audio-visual* event is heard and seen in the same second, so
# its masks are the conjunctions of the other two. {numref}`fig-scoring-example` shows a made-up
# video with all three.

# %%
dog = LABELS.index("Dog")


def events(*runs: tuple[int, int, int]) -> torch.Tensor:
    """One video with events (class, onset, offset)."""
    return runs_to_segments([Run(0, *run) for run in runs], videos=1)


true_audio = events((speech, 0, 6), (dog, 7, 10))
true_visual = events((speech, 2, 5))
pred_audio = events((speech, 0, 4), (clapping, 8, 10))
pred_visual = events((speech, 2, 9))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-scoring-example", "caption": "One hand-made video: what is heard, what is seen and what is both, annotated and predicted. Filled seconds agree with the annotation, hatched ones are not in it."}, "image": {"alt": "Timeline of ten seconds with five lanes. Speech is annotated as heard from 0 to 6 s and predicted from 0 to 4 s. A dog heard from 7 to 10 s is missed, and clapping is wrongly predicted from 8 to 10 s. Speech is seen from 2 to 5 s and predicted from 2 to 9 s, so that speech heard and seen is annotated from 2 to 5 s and predicted from 2 to 4 s."}}
_ = timeline(
    (true_audio[0], true_visual[0]),
    {"prediction": (pred_audio[0], pred_visual[0])},
    modalities=("audio", "visual", "audio_visual"),
)

# %% [markdown]
# What is counted depends on the level. At *segment* level the unit is one second of one class. A
# second that is predicted and annotated is a true positive (TP), one that is only predicted a false
# positive (FP), one that is only annotated a false negative (FN), and the class gets
#
# $$
# F = \frac{2\,\mathrm{TP}}{2\,\mathrm{TP} + \mathrm{FP} + \mathrm{FN}}.
# $$
#
# At *event* level the unit is a run of consecutive seconds: the longest possible stretch over which
# a class stays on. A predicted run and an annotated run match when the intersection of the two
# covers at least half of their union. `avvp.metrics.count` returns both counts for every
# video, class and modality; below are those of the example. The pooled rows add the counts of sound
# and image, and we come back to them.

# %% tags=["hide-input"]
counts = count(pred_audio, pred_visual, true_audio, true_visual)[:, :, 0]
show(
    pd.DataFrame(
        [
            {
                "level": LEVELS[level],
                "modality": MODALITIES[modality].replace("_", "-"),
                "class": label_name(label),
                "TP": counts[level, modality, label, 0].item(),
                "FP": counts[level, modality, label, 1].item(),
                "FN": counts[level, modality, label, 2].item(),
                "F": f_score(counts[level, modality, label]).item(),
            }
            for level, modality, label in counts.any(dim=-1).nonzero().tolist()
        ]
    ),
    digits=2,
)

# %% [markdown]
# Speech in the image shows how the levels differ. The prediction covers every annotated second, so
# at segment level it still earns something for each of them; as an event it is so much longer than
# the annotated one that it counts as two errors, a wrong event and a missed one.
#
# {numref}`fig-matching` goes through the cases that decide event-level scores. The rule is
# *at least* half: a prediction that covers exactly half of an event is right. It is also blind to
# how close a miss was.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-matching", "caption": "Six hand-made cases of predicted and annotated events of one class, with the intersection over union (IoU) where two of them overlap. From 0.5 on they match."}, "image": {"alt": "Six panels with an annotation bar above a prediction bar. A prediction over the first half of a ten-second event matches with IoU 0.50; one over four of nine seconds does not, with 0.44. One ten-second prediction over two events of five and four seconds matches the first only. Two predictions of five and four seconds within one event of ten seconds: only the first matches, with IoU 0.50. Two neighbouring events of three seconds without overlap do not match. A prediction from 3 to 10 s and an event from 3 to 6 s do not match, with IoU 0.43."}}
_ = event_matching(
    {
        "exactly half: a match": ([(0, 5)], [(0, 10)]),
        "less than half: two errors": ([(0, 4)], [(0, 9)]),
        "one prediction, two events": ([(0, 10)], [(0, 5), (6, 10)]),
        "two predictions, one event": ([(0, 5), (6, 10)], [(0, 10)]),
        "side by side": ([(0, 3)], [(3, 6)]),
        "right at first, then too long": ([(3, 10)], [(3, 6)]),
    }
)

# %% [markdown]
# The released code lets several predictions match one event and several events one prediction. At a
# threshold of one half that never happens: two runs that do not touch cannot both fill half of a
# third. Below one half it does, which matters as soon as one plots scores against the threshold.
# Here are the middle two cases of the figure again, at several thresholds.

# %% tags=["hide-input"]
whole = events((speech, 0, 10))
halves = events((speech, 0, 5), (speech, 6, 10))
nothing = events()


def event_counts(predicted: torch.Tensor, true: torch.Tensor, event_iou: float) -> str:
    found = count(predicted, nothing, true, nothing, event_iou=event_iou)
    return " / ".join(str(n) for n in found[LEVELS.index("event"), 0, 0, speech].tolist())


show(
    pd.DataFrame(
        [
            {
                "IoU from which events match": event_iou,
                "one prediction, two events: TP / FP / FN": event_counts(whole, halves, event_iou),
                "two predictions, one event: TP / FP / FN": event_counts(halves, whole, event_iou),
            }
            for event_iou in (0.6, 0.5, 0.4)
        ]
    )
)

# %% [markdown]
# ## From counts to one number
#
# The score of a video is the mean of $F$ over the classes that have any count in it, that is, over
# the classes that are annotated or predicted. The score of a data set is the mean over its videos.
# Two consequences are easy to overlook:
#
# - A class that is neither annotated nor predicted is left out; if that holds for all 25, the video
#   scores 1. Many test videos show nothing of what is heard in them, and keeping silent about their
#   images is worth full marks.
# - A class that is predicted and nowhere annotated enters the mean with $F = 0$, however short the
#   false alarm. One wrong second of one wrong class halves the score of a video that is otherwise
#   perfect and has a single class.

# %% tags=["hide-input"]
one = events((speech, 0, 10))
blip = events((clapping, 4, 5))
cases = {
    "nothing annotated, nothing predicted": (nothing, nothing),
    "nothing annotated, one second of Clapping predicted": (blip, nothing),
    "Speech for 10 s, predicted exactly": (one, one),
    "Speech for 10 s, predicted, and one second of Clapping": (one | blip, one),
    "Speech for 10 s, nothing predicted": (nothing, one),
}
scored = {name: evaluate(*masks[:1], nothing, masks[1], nothing) for name, masks in cases.items()}
show(
    pd.DataFrame(
        [
            {
                "sound of one video": name,
                "segment level (%)": ten["segment/audio"],
                "event level (%)": ten["event/audio"],
            }
            for name, ten in scored.items()
        ]
    )
)

# %% [markdown]
# ## Type@AV and Event@AV
#
# Two numbers summarise each level. **Type@AV** is the mean of the audio, the visual and the
# audio-visual score. **Event@AV** is one more F-score: for each class the TP, FP and FN of sound
# and image are added (the pooled rows above), and everything else goes on as before. The
# audio-visual masks play no part in it.
#
# They can disagree. In the table below a video has one class. First it is heard for a long time and
# seen briefly, and the prediction is right about the sound only: pooled by seconds the sound weighs
# more, while in Type@AV sound, image and their conjunction weigh the same. Then everything that is
# predicted is right, but sound and image are covered at different times: each modality alone does
# well, and nothing is found of what happens in both. An audio-visual score can be low without any
# confusion of classes.

# %% tags=["hide-input"]
pairs = {
    "heard 0 to 10 s and seen 0 to 2 s; only the sound is found": (
        *(events((speech, 0, 10)), nothing),
        *(events((speech, 0, 10)), events((speech, 0, 2))),
    ),
    "heard and seen 0 to 10 s; found in the sound until 5 s, in the image from 5 s": (
        *(events((speech, 0, 5)), events((speech, 5, 10))),
        *(events((speech, 0, 10)), events((speech, 0, 10))),
    ),
}
summaries = {name: evaluate(*masks) for name, masks in pairs.items()}
show(
    pd.DataFrame(
        [
            {
                "one video": name,
                **{heading: ten[f"segment/{kind}"] for kind, heading in HEADINGS.items()},
            }
            for name, ten in summaries.items()
        ]
    )
)

# %% [markdown]
# The ten numbers of a table row are these five at segment level and the same five at event level,
# in per cent.
#
# ## Reference lines
#
# How good is a score? A scale needs marks, and the annotations alone provide some. None of the
# following "parsers" looks at a video; all of them read labels that a parser would have to find.
#
# - **Weak label everywhere.** The weak label of a test video, the set of classes that occur in it,
#   marked in all ten seconds of both modalities. It knows what happens, and nothing about when, or
#   whether it is heard or seen.
# - **True label of each modality everywhere.** The same, but it knows which classes are heard and
#   which are seen. It still knows nothing about time.
# - **Every class everywhere**, the answer without any knowledge.
# - **Flipped ground truth.** The annotation itself, with one decision in twenty turned over.
#
# They were computed on the annotations of LLP's 1,200 test videos by the command below and are
# committed with the book, together with the checksums of the annotation files. The rows beneath
# them are printed results, and the last one collects the highest value that the tables of MA,
# Cross-Modal learning and MGN print in each column.

# %% tags=["hide-input"]
measured = read_lines()
test = measured["splits"]["test"]
lines = test["lines"]
results = printed_results()
rows = {f"*{what}*": lines[line] for line, what in LINES.items()}
rows["HAN, as printed"] = published("mgn", "Table 1", "HAN")
rows["MA (C+R), as printed"] = published("mgn", "Table 1", "MA", "C+R")
rows["MGN (C+R), as printed"] = published("mgn", "Table 1", "MGN", "C+R")
rows["highest printed value"] = {key: values[-1] for key, values in results.items()}
by_level(
    {name: {key: f"{ten[key]:.1f}" for key in METRICS} for name, ten in rows.items()},
    f"Real annotations of {test['videos']:,} test videos of LLP; scores in per cent. "
    f"Made by `{measured['command']}`.",
)

# %% [markdown]
# {numref}`fig-reference-lines` sets the same lines against every result that the papers' tables
# print, not only the three rows above.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-reference-lines", "caption": "All results that the tables of MA, Cross-Modal learning and MGN (with its abstract and supplement) print (dashes; each result once, however often it is quoted) and four predictions that are made from labels alone, scored on the real test annotations of LLP."}, "image": {"alt": "Two panels, segment level and event level, with the five scores on the vertical axis and per cent on the horizontal one. In both, the weak label everywhere lies to the right of all printed results for audio, Type@AV and Event@AV and among the best of them for visual and audio-visual; the true label of each modality everywhere lies far to the right of all. Every class everywhere scores about 5 per cent. Flipped ground truth scores 10 to 16 per cent except for audio-visual, where it exceeds all printed results."}}
_ = score_lines(results, {LINES[line]: lines[line] for line in LINES if line != "truth"})


# %% [markdown]
# The blue squares are the ones to look at: they know nothing about time and nothing about modality.


# %% tags=["hide-input"]
def beats(line: str, key: str) -> str:
    place = standing(lines[line])[key]
    return f"{lines[line][key]:.1f} (above {place.below} of {place.printed} printed results)"


told = [lines["modality"][f"{level}/type_av"] for level in LEVELS]
Markdown(
    f"In Type@AV the weak label everywhere reaches {beats('weak', 'segment/type_av')} at segment "
    f"level and {beats('weak', 'event/type_av')} at event level. With the right label in the right "
    f"modality it is {told[0]:.1f} and {told[1]:.1f}. What is left for finding events in time is "
    f"{100 - told[0]:.1f} and {100 - told[1]:.1f} points."
)

# %% [markdown]
# This does not say that the methods are bad: they have to recognise the classes, and the reference
# lines are told. It says what the benchmark rewards. Most of a score is earned by naming the right
# classes, and then by knowing which of them are heard and which are seen; when they occur comes
# last. A method whose score rises may have learnt to localise, or to recognise, and Type@AV cannot
# tell the two apart. Later chapters measure them separately.
#
# The reason lies in the annotations. Many events simply last as long as the clip.

# %% tags=["hide-input"]
show(
    pd.DataFrame(
        [
            {
                "modality": modality.replace("_", "-"),
                "annotated (video, class) pairs": pair["pairs"],
                "of these, all ten seconds": pair["ten_seconds"],
                "share (%)": 100 * pair["ten_seconds"] / pair["pairs"],
            }
            for modality, pair in test["pairs"].items()
        ]
    )
)

# %% [markdown]
# The flipped ground truth is the opposite lesson. Nineteen of twenty decisions are right, yet its
# audio and visual scores fall below those of any method, because the false alarms are scattered
# over classes that do not occur, and each of those enters the mean of its video with zero. The
# audio-visual score survives: for a class that does not occur, a false alarm there needs two flips at
# once. The next cell lists how
# many printed results each line exceeds.

# %% tags=["hide-input"]
by_level(
    {
        LINES[line]: {
            key: f"{place.below} of {place.printed}" for key, place in standing(lines[line]).items()
        }
        for line in ("modality", "weak", "flips", "ones")
    },
    "Printed results that lie below each line, of those that print the score.",
)

# %% [markdown]
# ## What the papers leave open
#
# Whoever re-implements these scores from the text alone has to choose. The released evaluation code
# made the choices that every published row rests on, and they are the ones described above:
#
# | open in the text | as scored |
# |---|---|
# | order of averaging | over classes within a video, then over videos |
# | match at an intersection over union of exactly one half | yes |
# | class neither annotated nor predicted | left out of the mean |
# | video without any class, annotated or predicted | 1 |
# | runs that match more than one run | allowed |
# | what Event@AV pools | sound and image, by class; not the audio-visual masks |
#
# `avvp.metrics.evaluate` reproduces the released code to nine decimals on 400 random videos
# and on five predictions for the real annotations, edge cases included; the tests of this
# repository hold it to that.
#
# ## How long it takes
#
# Scores are computed after every epoch and, later in this book, at dozens of thresholds. So
# the evaluation has no loop over videos: two runs that overlap share a second, so it is
# enough to compare, at every second, the predicted run and the annotated run that cover it. The
# next cell scores random masks of the size of the test split, far denser than real ones.
# `python benchmarks/evaluate.py` compares with plain loops.

# %%
generator = torch.Generator().manual_seed(0)
dense = [torch.rand(1200, 25, 10, generator=generator) < 0.1 for _ in range(4)]
seconds = []
for _ in range(7):
    start = time.perf_counter()
    evaluation = evaluate_videos(*dense)
    seconds.append(time.perf_counter() - start)
print(f"{len(evaluation.per_video):,} videos: {1000 * min(seconds):.0f} ms")
