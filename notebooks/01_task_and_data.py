# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The task and the data
#
# A clip of ten seconds: a ball bounces in a hall, and somebody who never comes into view talks over
# it. A parser of this clip has to say, second by second, that the ball is both heard and seen, and
# that the voice is only heard. It learns this from clips of which it is told nothing but two words,
# *basketball* and *speech*. This chapter looks at the data behind the task: what exactly is
# annotated, how often an event is heard, seen or both, how long events last, which of them come
# together, and what is wrong with the files that everybody uses.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Markdown

from avvp import LABELS
from avvp.cells import show
from avvp.commands.data import info_lines
from avvp.data import load, read_annotations
from avvp.data.annotations import AUDIO_FILE, CONSEQUENCES, REPAIRED, find_annotations
from avvp.data.features import FOLDERS, pool_frames
from avvp.data.label_model import draw_seconds, draw_weak
from avvp.data.statistics import read_statistics
from avvp.data.store import CHUNK, FEATURES, VIDEO_BYTES, describe, read_split
from avvp.data.store_writer import write_videos
from avvp.figures import (
    co_occurrence,
    counts_by_class,
    label_name,
    run_lengths,
    shares_by_class,
    timeline,
    use_style,
)
from avvp.models import build
from avvp.published import published

use_style()


# %% [markdown]
# ## What a parser must say
#
# A clip has $T = 10$ segments of one second and there are $C = 25$ classes of events. Each segment
# $t$ carries two binary vectors: $y_t^a \in \{0, 1\}^C$ says what is heard, $y_t^v \in \{0, 1\}^C$
# what is seen. Their product $y_t^{av} = y_t^a \odot y_t^v$ says what is heard and seen at once. An
# *event* is a maximal stretch of consecutive segments that carry the same class in the same
# modality.
#
# In training, all that is known of a clip is its *weak label*
#
# $$
# y_c = \max_t \max\big(y_{t,c}^a,\; y_{t,c}^v\big),
# $$
#
# the set of classes that are heard or seen somewhere. Two things are lost in it: *when* an event
# happens, and *in which modality*. Every method in this book is a way to get them back.
#
# {numref}`fig-data-timelines` shows what is lost. For each clip, the weak label is the set of
# classes at the left; everything else has to be found out.

# %% tags=["hide-input"]
folder = find_annotations()
annotations = None if folder is None else read_annotations(folder)
if annotations is not None:
    origin = "LLP"
    ids, weak = annotations["test"].ids, annotations["test"].weak
    heard, seen = annotations["test"].audio, annotations["test"].visual
else:
    origin = "simulated"
    generator = torch.Generator().manual_seed(0)
    weak = draw_weak(500, "test", generator)
    heard, seen = draw_seconds(weak, generator)
    ids = [f"clip {n}" for n in range(len(weak))]

Markdown(
    "The clips below are annotated clips of the LLP test set."
    if annotations is not None
    else "LLP's annotations are not on this machine, so the clips below are **simulated**: drawn "
    "from LLP's label statistics. Set `AVVP_ANNOTATIONS` to the folder of the annotation files to "
    "see real ones."
)

# %% [markdown]
# Three clips are picked by rule, the first of each kind in the file: a basketball with a voice that
# is not in the picture; an event that is in view for all ten seconds and is heard off and on; and a
# clip in which one event is only seen and another is only heard.

# %% tags=["hide-input"]
ball, speech = LABELS.index("Basketball_bounce"), LABELS.index("Speech")
is_heard, is_seen = heard.any(2), seen.any(2)
events_heard = (heard[:, :, 1:] & ~heard[:, :, :-1]).sum(2) + heard[:, :, 0]
# The weak label and the seconds contradict each other in a few clips; these come later.
agrees = (weak == (is_heard | is_seen)).all(1)
kinds = {
    "a voice off screen": (
        is_heard[:, speech] & ~is_seen[:, speech] & (is_heard & is_seen)[:, ball]
    ),
    "in view, heard off and on": (seen.all(2) & (events_heard > 1)).any(1) & (weak.sum(1) < 3),
    "one only seen, one only heard": (
        (is_seen & ~is_heard).any(1) & (is_heard & ~is_seen).any(1) & (weak.sum(1) < 3)
    ),
}
picked = {kind: int((mask & agrees).nonzero()[0]) for kind, mask in kinds.items()}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-timelines", "caption": "Three clips, second by second: what is heard (orange) and what is seen (blue). The title of a panel says whether its clip is one of LLP's test set or a simulated one."}, "image": {"alt": "Three timelines of ten seconds. In the first a basketball is heard and seen while speech is heard and never seen. In the second an event is seen for all ten seconds and heard in several separate stretches. In the third one event has a bar in a seen lane only and another in a heard lane only."}}
lanes = [int(is_heard[n].sum() + is_seen[n].sum()) for n in picked.values()]
_, axes = plt.subplots(3, 1, figsize=(7, 2.4 + 0.3 * sum(lanes)), height_ratios=lanes)
for ax, (kind, n) in zip(axes, picked.items(), strict=True):
    timeline((heard[n], seen[n]), title=f"{kind} ({origin} {ids[n]})", ax=ax)
    ax.set_xlabel("time in the clip (s)" if ax is axes[-1] else "")

# %% [markdown]
# ## LLP: look, listen and parse
#
# The data set of the field is LLP, introduced together with HAN {cite}`han`: clips of
# AudioSet {cite}`audioset`, ten seconds each. Its makers watched the clips of two of the three
# splits and noted, for either modality, from which second to which second each event lasts. The
# training clips have weak labels only. The numbers below, and everywhere in this chapter unless a
# caption says otherwise, are counts of the real annotations; they were measured once by
# `avvp data statistics`, and the package carries them with the checksums of the files.

# %% tags=["hide-input"]
statistics = read_statistics()
splits, dense = statistics["splits"], statistics["dense"]["test"]
pooled = statistics["dense"]["val+test"]


def counted(name: str, modality: str) -> int | str:
    """Numbers of the test split; those of validation are what the pooled ones have more."""
    if name == "train":
        return "not annotated"
    test = sum(dense["runs"][modality])
    return test if name == "test" else sum(pooled["runs"][modality]) - test


show(
    [
        {
            "split": name,
            "clips": split["videos"],
            "weak labels a clip": sum(split["class_counts"]) / split["videos"],
            "at most": len(split["labels_per_video"]) - 1,
            "audio events": counted(name, "audio"),
            "visual events": counted(name, "visual"),
            "audio-visual events": counted(name, "audio_visual"),
        }
        for name, split in splits.items()
    ],
    ".2f",
)

# %% tags=["hide-input"]
segments = {name: sum(numbers) for name, numbers in dense["segments"].items()}
without = dense["videos_without"]
test_clips = splits["test"]["videos"]
common = splits["train"]["class_counts"][speech] / splits["train"]["videos"]
Markdown(
    f"The test clips have {segments['audio']:,} audible, {segments['visual']:,} visible and "
    f"{segments['audio_visual']:,} audio-visual (segment, class) pairs. In {without['audio']} of "
    f"the {test_clips:,} nothing is ever heard, in {without['visual']} nothing is ever seen, and "
    f"{without['audio_visual']} have no audio-visual event at all. One class dwarfs the others: "
    f"{100 * common:.0f} % of the training clips are labelled Speech."
)

# %% [markdown]
# ## Heard, seen, and both
#
# The paper on Cross-Modal learning {cite}`cross_modal` opens with a figure of the numbers of audio,
# visual and audio-visual events by category, and with an observation: more is heard than seen, so
# that what image adds to sound may do harm there. It does not say which split was counted. Its
# numbers for speech, which it gives in videos, settle that, and its totals too, which it gives for
# all of AudioSet.

# %% tags=["hide-input"]
SPEECH = "videos with 'speech' as {} event"
of_speech = [
    int(published("cross_modal", "text", "LLP", SPEECH.format(m))[m]) for m in ("audio", "visual")
]
totals = published("cross_modal", "text", "LLP", "events by modality")
show(
    [
        {
            "count": name,
            "Speech heard": table["audio"][speech],
            "Speech seen": table["visual"][speech],
            "all heard": sum(table["audio"]),
            "all seen": sum(table["visual"]),
        }
        for name, table in (
            ("test clips", dense["pairs"]),
            ("events in test clips", dense["runs"]),
            ("validation and test clips", pooled["pairs"]),
            ("events in validation and test clips", pooled["runs"]),
        )
    ]
    + [
        {
            "count": "printed in the text; Speech about",
            "Speech heard": of_speech[0],
            "Speech seen": of_speech[1],
            "all heard": int(totals["audio"]),
            "all seen": int(totals["visual"]),
        }
    ]
)

# %% [markdown]
# Clips of the test set fit best: a class counts once a clip. {numref}`fig-data-counts` repeats the
# figure by this rule.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-counts", "caption": "In how many of the 1,200 LLP test clips each class is heard, seen, and both in the same second. Real annotations. This is figure 1 of the Cross-Modal learning paper, drawn again."}, "image": {"alt": "Three lines over 25 classes on a logarithmic axis, sorted by how often a class is heard. Speech leads with 620 clips heard and about 140 seen. For most classes the three counts lie close together; heard exceeds seen clearly for Speech, Cheering, Singing and Clapping, and seen exceeds heard for Car, Cat and Basketball bounce."}}
_ = counts_by_class(dense["pairs"], unit="test clips")

# %% [markdown]
# Totals hide how the two modalities pair up in a clip. For every weak label of an annotated clip
# there are four cases: the class is only heard, only seen, both, or (a contradiction to which we
# come back) neither. {numref}`fig-data-shares` divides each class's labels accordingly.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-shares", "caption": "What the weak labels of the validation and test clips stand for, by class. Real annotations of LLP."}, "image": {"alt": "One stacked bar a class, sorted by the share that is only heard. About three quarters of the Speech labels are only heard; Cheering, Telephone bell ringing, Clapping and Singing follow with roughly 30 to 55 per cent. The share only seen is largest for Cat, Car, Basketball bounce and Dog. The other classes are mostly both heard and seen."}}
_ = shares_by_class(
    {
        "heard only": pooled["weak_pairs"]["heard_only"],
        "heard and seen": pooled["weak_pairs"]["both"],
        "seen only": pooled["weak_pairs"]["seen_only"],
        "neither": pooled["weak_pairs"]["neither"],
    },
    xlabel="share of the class's weak labels (%)",
)

# %% tags=["hide-input"]
cases = {name: sum(numbers) for name, numbers in pooled["weak_pairs"].items()}
total = sum(cases.values())
both_pairs = sum(sum(map(sum, table)) for table in pooled["both_full"])
identical = sum(pooled["both_identical"]) / both_pairs
of_speech = sum(numbers[speech] for numbers in pooled["weak_pairs"].values())
heard_share = 100 * cases["heard_only"] / total
others_heard_only = 100 * (
    (cases["heard_only"] - pooled["weak_pairs"]["heard_only"][speech]) / (total - of_speech)
)
Markdown(
    f"Of all {total:,} weak labels, {100 * cases['both'] / total:.0f} % are heard and seen, "
    f"{heard_share:.0f} % only heard and {100 * cases['seen_only'] / total:.0f} % only seen. The "
    f"asymmetry is mostly one class: of the Speech labels "
    f"{100 * pooled['weak_pairs']['heard_only'][speech] / of_speech:.0f} % are only heard, of all "
    f"others {others_heard_only:.0f} %. And where a class is both heard and seen, it is so in "
    f"exactly the same seconds in {100 * identical:.0f} % of the cases."
)

# %% [markdown]
# ## How long events last
#
# {numref}`fig-data-runs` counts the events of each length. In the image, an event usually fills
# the clip: whoever films a violin films it for ten seconds. Sound is more broken up, but there too
# the full length is the most common one. The consequence is unpleasant for a benchmark of temporal
# localisation: whoever knows *what* is heard and seen can mark it everywhere and is often right.
# The next chapter puts a number on this.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-runs", "caption": "Lengths of the events of the LLP validation and test clips: maximal stretches of one class in one modality. Real annotations."}, "image": {"alt": "Three histograms of event lengths from 1 to 10 seconds. Heard: about a third of the events last 10 seconds, and among shorter ones 1 second is the most common. Seen: more than half last 10 seconds. Heard and seen: about a third last 10 seconds, others are mostly short."}}
_ = run_lengths({"LLP": {name: table["all"] for name, table in pooled["run_length"].items()}})

# %% tags=["hide-input"]
show(
    [
        {
            "modality": name.replace("_", "-"),
            "events": sum(lengths["all"]),
            "of 1 s (%)": 100 * lengths["all"][0] / sum(lengths["all"]),
            "of 10 s (%)": 100 * lengths["all"][-1] / sum(lengths["all"]),
            "(clip, class) pairs": sum(pooled["pairs"][name]),
            "of them in several events (%)": 100
            * sum(pooled["runs_per_pair"][name]["all"][1:])
            / sum(pooled["pairs"][name]),
        }
        for name, lengths in pooled["run_length"].items()
    ]
)

# %% [markdown]
# ## Which labels come together
#
# Labels do not come independently. Somebody speaks in most clips of dogs and cats, and a cello
# rarely comes without a violin. A model can learn this from weak labels alone and use it as a
# prior: good for recall, bad when it marks a voice that is not there. {numref}`fig-data-together`
# shows the training clips. The column of Speech stands out, and most other pairs never occur.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-together", "caption": "Of the LLP training clips with the label of a row, the share that also has the label of a column. Real weak labels; a label with itself is left white."}, "image": {"alt": "Heat map of 25 by 25 classes. The column of Speech is bright for most rows, brightest for Dog and Cat with about nine tenths of the clips and darkest for Cello and Accordion. The rest is dark except for a few cells: Cello with Violin fiddle is the brightest, then come Violin fiddle with Cello, and Banjo and Acoustic guitar with Singing."}}
_ = co_occurrence(statistics["together"]["train"])

# %% tags=["hide-input"]
together = torch.tensor(statistics["together"]["train"])
possible = len(LABELS) * (len(LABELS) - 1) // 2
occurring = int((together.triu(diagonal=1) > 0).sum())
share = together.double() / together.diagonal()[:, None]
with_speech = sorted(
    ((float(share[c, speech]), c) for c in range(len(LABELS)) if c != speech), reverse=True
)
most = ", ".join(f"{label_name(c)} ({100 * s:.0f} %)" for s, c in with_speech[:3])
least = ", ".join(f"{label_name(c)} ({100 * s:.0f} %)" for s, c in with_speech[:-4:-1])
tally = {name: split["labels_per_video"] for name, split in splits.items()}
few, more = (100 * sum(tally[name][3:]) / splits[name]["videos"] for name in ("train", "test"))
Markdown(
    f"Most often with Speech: {most}; least often: {least}. Of the {possible} pairs of classes, "
    f"{occurring} occur in training at all. Test clips are busier than training clips: "
    f"{more:.0f} % have three labels or more, against {few:.0f} %. The likely reason is that the "
    "labels of test clips come from people who went through them second by second, and those of "
    "training clips from AudioSet."
)

# %% [markdown]
# ## What is wrong with the files
#
# Every paper of this field reads the same five files, and as far as we know none says what is odd
# about them. `avvp.data.read_annotations` drops nothing in silence: what marks no second, matches
# no clip or contradicts another file goes into a report. Here is everything it finds, and what it
# means for the masks that models are scored against.

# %% tags=["hide-input"]
show(
    [
        {"oddity": kind, "file": file, "count": count, "consequence": CONSEQUENCES[kind]}
        for kind, file, count in statistics["oddities"]
    ],
    ".0f",
)

# %% tags=["hide-input"]
lines = []
if annotations is not None:
    shown = ("empty row", "reversed row", "orphan row", "misnamed row", "doubled label")
    found = [finding for kind in shown for finding in annotations.report.of(kind)]
    lines = [
        "The rows in question, read from the files on this machine:\n",
        pd.DataFrame(found)[["kind", "file", "row", "video", "detail"]].to_markdown(index=False),
    ]
else:
    lines = [
        "The rows themselves are LLP's; where its files are at hand, "
        "`read_annotations(folder).report` lists each with its file and line, and so does this page; "
        "{doc}`21_run_it_on_llp` says how to get them."
    ]
Markdown("\n".join(lines))

# %% [markdown]
# Orphans are clips that were annotated and then left out, or whose name was mistyped beyond
# recognition. Contradictions between weak and dense labels can be counted only where both exist;
# in training clips they are presumably as common, and there they teach a model that a right answer
# is wrong.
#
# One oddity is a matter of versions. The audio file shipped with MA, Cross-Modal learning and MGN
# has damaged names in a few rows, one pair of which carries a class in place of the clip; HAN's
# release has them repaired. The reader recognises the version by content, never by name, and
# reports it.

# %% tags=["hide-input"]
affected = " and ".join(f"{label_name(label)} in one test clip" for _, label in REPAIRED)
version = statistics["source"]["audio_version"]
here = (
    ""
    if annotations is None
    else f" The file on this machine is the **{annotations.audio_version}** one."
)
bound = 100 * len(REPAIRED) / test_clips
Markdown(
    f"This book counts with the {version} version of `{AUDIO_FILE}` (SHA-256 "
    f"`{statistics['source']['sha256'][AUDIO_FILE][:12]}...`). In the other one {affected}, out of "
    f"{test_clips:,}, is missing or incomplete. Every score is a mean over clips, so none can "
    f"differ by more than {bound:.2f} points between the two.{here}"
)

# %% [markdown]
# ## From clips to features
#
# No method of this book looks at pixels or samples. HAN's authors computed features once, with
# three networks trained on other tasks, and everybody has used them since: VGGish {cite}`vggish`
# for the sound of each second, ResNet-152 {cite}`resnet` for eight frames of each second, and
# R(2+1)D {cite}`r2plus1d` for the motion in it.

# %% tags=["hide-input"]
show(
    [
        {
            "stream": stream,
            "released folder": released,
            "released shape": str(shape),
            "stored shape": f"({shape[0] if stream != 'visual_2d' else shape[0] // 8}, {shape[1]})",
            "kB a clip as released": 4 * shape[0] * shape[1] / 1e3,
            "kB a clip as stored": 4 * 10 * FEATURES[stream] / 1e3,
        }
        for stream, (released, shape) in FOLDERS.items()
    ]
)

# %% [markdown]
# ### Why frames may be averaged first
#
# The released code projects all 80 frame vectors of a clip and then averages the eight results of a
# second. A projection is affine, and an affine map commutes with an average: for the frames
# $x_1, \dots, x_8$ of a second,
#
# $$
# \frac18 \sum_{i=1}^{8} \big(W x_i + b\big) \;=\; W\Big(\frac18 \sum_{i=1}^{8} x_i\Big) + b .
# $$
#
# So the eight frames can be averaged *before* the first layer, once and for all. The same output
# comes from an eighth of the numbers, with an eighth of the multiplications in what is by far the
# widest layer. The next cell checks it on HAN itself, with random weights and random frames; and it
# checks the limit of the argument, which ends at the first non-linear function.

# %%
torch.manual_seed(0)
network = build("han").eval()
audio, frames, motion = torch.randn(8, 10, 128), torch.randn(8, 80, 2048), torch.randn(8, 10, 512)
means = torch.stack([torch.from_numpy(pool_frames(clip.numpy())) for clip in frames])
projection = network.front_end.visual_2d


def mean_of_a_second(values: torch.Tensor) -> torch.Tensor:
    return values.unflatten(1, (10, 8)).mean(2)


with torch.no_grad():
    ours = network(audio, means, motion)
    # The released order: what the layer gives for 80 frames, averaged, in place of its output.
    averaged_late = mean_of_a_second(projection(frames))
    hook = projection.register_forward_hook(lambda *_: averaged_late)
    released = network(audio, means, motion)
    hook.remove()
    bent_late = mean_of_a_second(projection(frames).relu())
    bent_early = projection(means).relu()

difference = max(float((a - b).abs().max()) for a, b in zip(ours[:5], released[:5], strict=True))
apart = float((bent_late - bent_early).abs().max())

# %% tags=["hide-input"]
Markdown(
    f"HAN's probabilities from {tuple(means.shape[1:])} averages and from "
    f"{tuple(frames.shape[1:])} projected frames differ by at most {difference:.1e}: the rounding "
    f"of single precision. With a rectifier between projection and average, the two orders would "
    f"differ by up to {apart:.2f}. A clip takes {VIDEO_BYTES / 1e3:.0f} kB in place of "
    f"{sum(4 * a * b for _, (a, b) in FOLDERS.values()) / 1e3:.0f}."
)

# %% [markdown]
# ## One file
#
# Labels and features of a data set live in one HDF5 file. `avvp data import` makes it from the
# annotations and the three feature folders, `avvp data simulate` from the simulator of the chapter
# {doc}`03_simulated_llp`; both write completely or not at all. Each clip in the file carries a
# checksum of everything that is said about it, and the file a fingerprint of all checksums, so that
# a result can name the data it was computed on and a changed byte does not go unnoticed. This is
# what `avvp data info` prints of the file this chapter was run on, or of a small simulated one:

# %% tags=["hide-input"]
store = tempfile.TemporaryDirectory()
if data == "sim":
    path = Path(store.name) / "simulated.h5"
    write_videos(
        path,
        {split: load("smoke", split) for split in ("train", "val", "test")},
        {"source": "simulated"},
    )
else:
    path = Path(data)
print("\n".join(info_lines(describe(path), checked=True)[1:]))

# %% [markdown]
# ### More clips than memory
#
# A split that fits is held in memory, on the device that trains on it; no loader, no worker
# processes. One that does not fit is streamed: the clips of a chunk are read together and shuffled
# among themselves, and the next chunk is read while the current one is in use. A resident split is
# shuffled by the same rule. Which of the two happens is therefore invisible to training:

# %%
resident, streamed = (
    read_split(path, "train", limit=64, resident=kind, chunk=16) for kind in (True, False)
)


def one_pass(videos) -> list:
    return list(videos.batches(batch_size=10, generator=torch.Generator().manual_seed(1)))


equal = [
    all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    for one, other in zip(one_pass(resident), one_pass(streamed), strict=True)
]

# %% tags=["hide-input"]
store.cleanup()
Markdown(
    f"{sum(equal)} of {len(equal)} batches are equal, bit by bit. By default a chunk is "
    f"{CHUNK:,} clips, {CHUNK * VIDEO_BYTES / 1e6:.0f} MB, and at most three of them are in memory "
    "while streaming, whatever the size of the file."
)

# %% [markdown]
# ## What to keep in mind
#
# - Weak labels hide two things, time and modality, and the second is mostly a question about one
#   class.
# - Full-length events are so common that localisation is a small part of the score.
# - The annotations contradict themselves in a few dozen clips: differences of a tenth of a point
#   are not worth an explanation.
# - Training, validation and test differ in the number of labels a clip; a threshold that is right
#   on one may be wrong on another.
