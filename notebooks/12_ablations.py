# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ablations
#
# An ablation asks what one part of a method is worth: change that part, train again, and compare.
# Of those that MGN {cite}`mgn` and MA {cite}`ma` print, four are the subject here: grouping within and across modalities, hard or
# soft assignment, the modality whose labels are refined, and the temperature of the contrastive
# loss. This chapter trains all their rows again, says what each change really changes in the
# released code, and asks of every difference whether it is larger than what chance does.
#
# The last question is the one that the printed tables cannot answer. They give one number a row,
# from one training, and most of their rows differ by a point or less.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import math

import numpy as np
import torch
from IPython.display import Markdown
from scipy.stats import spearmanr

from avvp.cells import code, show_text, takeaways
from avvp.claims import claims_table
from avvp.data import SimulatorConfig
from avvp.data.simulate import PROFILE_SIZES, draw_blocks
from avvp.experiments import REGISTRY
from avvp.figures import use_style
from avvp.figures.studies import differences
from avvp.losses import contrast
from avvp.metrics import MODALITIES, evaluate
from avvp.model_size import measured
from avvp.models import build, load_released
from avvp.models.mgn import MGN, Assignment
from avvp.parity import names_and_shapes, open_golden, rule_inputs, rule_state
from avvp.published import published
from avvp.refinement import refined_targets
from avvp.results import HOME, read_arrays
from avvp.studies import Study, open_study, told_by_scale
from avvp.tables import KINDS, provenance_table, result_table
from avvp.training import seeded

use_style()

SEGMENT = {f"segment/{key}": title for key, title in KINDS.items()}
place = {"profile": profile, "data": data}


def points(number: float) -> str:
    return f"{number:+.1f}"


# %% [markdown]
# ## How to read the comparisons
#
# Every row is trained from scratch with the seeds, the data and the protocol of its method; only
# the named part differs. A difference $D$ of two rows is shown with the interval
# $D \pm t \cdot SE$,
#
# $$
# SE^2 = \frac{s_1^2}{n_1} + \frac{s_2^2}{n_2} + \frac{s_d^2}{N},
# $$
#
# in which $s_1$ and $s_2$ are the spreads over the $n_1$ and $n_2$ training seeds and $s_d$ is that
# of the paired differences over the $N$ test videos. It covers the two sources of chance that a
# table of single runs hides: another seed, and other test videos. The intervals of the figures
# stand each by itself. The table of claims at the end of the chapter corrects for their number, and so it is
# stricter.
#
# In the figures a dot with a bar is what we measured, and a dash is what the paper prints, as a
# difference of two printed scores. The dash comes from LLP and the dot from simulated LLP, unless a
# line says otherwise, so they need not agree in size; the question is whether they agree in sign
# and in what they call large. This is what the four studies are shown with:

# %% tags=["hide-input"]
grouping = open_study(
    {
        "han/han": "HAN",
        "mgn/cug_only": "CUG only",
        "mgn/mcg_only": "MCG only (ours)",
        "mgn/mgn": "CUG and MCG",
    },
    paper="mgn",
    table="Table 2",
    **place,
)
assigned = open_study(
    {
        "mgn/mgn": "soft CUG, soft MCG",
        "mgn/hard_soft": "hard CUG, soft MCG",
        "mgn/soft_hard": "soft CUG, hard MCG",
        "mgn/hard_hard": "hard CUG, hard MCG",
    },
    paper="mgn_supp",
    table="Table 2",
    **place,
)
refined = open_study(
    {
        "ma/c": "nothing refined",
        "ma/cr_audio": "audio labels",
        "ma/cr_visual": "visual labels",
        "ma/cr": "both",
    },
    paper="ma",
    table="Table 3",
    **place,
)
temperature = open_study(
    {
        "ma/cr": "temperature 0.2",
        "ma/cr_temperature_0.1": "temperature 0.1",
        "ma/cr_temperature_0.3": "temperature 0.3",
        "ma/cr_temperature_0.4": "temperature 0.4",
    },
    paper="ma",
    table="Table 4",
    **place,
)
studies = {
    "Grouping": grouping,
    "Assignment": assigned,
    "Refined modality": refined,
    "Temperature": temperature,
}
Markdown(
    "\n".join(f"- **{name}**: {study.told}. {study.missing}" for name, study in studies.items())
)

# %% [markdown]
# ## Grouping within and across modalities
#
# MGN has two grouping modules. *Class-aware unimodal grouping* (CUG) hands the seconds of one
# modality out to class tokens. *Modality-aware cross-modal grouping* (MCG) groups the audio token of
# a class onto its visual one, and the result gives the joint probability of the video. The paper's
# second table has a row without either, which is HAN; a row with CUG alone; and a row with both. It
# concludes that CUG is what helps vision, and that MCG is what helps everything audio-visual.
#
# ### What takes the place of a missing part
#
# Taking a module out leaves a hole: something must still produce the outputs that it produced. The
# paper does not say what, and the release has no switch. The code makes a choice, and the rows
# below are to be read with it in mind:
#
# - **Without MCG** the joint token of a class is the mean of its audio and its visual token. The
#   encoder across modalities is left out with the grouping behind it.
# - **Without CUG** the class tokens are used as they leave the unimodal encoder, where they could
#   read the seconds. Nothing is assigned to a class then, so no second can be told from another:
#   each second repeats the decision about the video. No paper prints this row; we add it because
#   the table is not complete without it.

# %% tags=["hide-input"]
code(MGN.features)

# %% [markdown]
# The next table counts what each row has. It also shows what the first row is: not MGN without its
# modules but another network, four times as wide, with MMIL pooling in place of class tokens and
# without their loss. A step from HAN to "CUG only" changes all of that at once, so it measures a
# family, and only the last step of the table is an ablation in the strict sense.

# %% tags=["hide-input"]
rows = []
for name, title in grouping.names.items():
    entry = REGISTRY[name]
    sizes = measured(build(entry.model, **entry.options))
    groupings = sum(size for part, size in sizes.items() if part.endswith("grouping"))
    rows.append(
        {
            "row": title,
            "options": ", ".join(f"`{k}={v!r}`" for k, v in entry.options.items()) or "none",
            "terms of the loss": ", ".join(f"`{term}`" for term in entry.objective.weights),
            "parameters": f"{sum(sizes.values()):,}",
            "of which grouping": f"{groupings:,}",
        }
    )
show_text(rows, right=2)

# %% [markdown]
# ### Result

# %% tags=["hide-input"]
result_table([*grouping.names], paper="mgn", table="Table 2", **place)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ablation-grouping", "caption": "Grouping modules against HAN, at segment level: dots with bars are differences of our runs with 95 % intervals, dashes those of the scores that MGN's Table 2 prints for LLP. MCG only has no printed row. The title names the runs; on simulated LLP they are simulated."}, "image": {"alt": "Five panels, one a metric, with rows for CUG only, MCG only and both. In each row a dot with an interval shows the measured difference from HAN in points, and a dash the printed one; a vertical line marks zero."}}
_ = differences(grouping.steps(SEGMENT), reference="HAN", title=grouping.told)

# %% [markdown]
# ### A gain with another reference
#
# The paper's text gives numbers for what MCG adds to CUG. Set beside the table that it comments on,
# they turn out to be the difference of the last row and the *first*: what both modules and the whole
# change of network gain over HAN. What MCG adds to CUG is the last row minus the second.

# %% tags=["hide-input"]
named = published("mgn", "text", "MGN", "CUG on, MCG on, gain over HAN")
table = []
for key, gain in named.items():
    both = grouping.step("mgn/mgn", key)
    mcg = grouping.step("mgn/mgn", key, to="mgn/cug_only")
    table.append(
        {
            "metric": SEGMENT[key],
            "gain of MCG, by the text": points(gain),
            "Table 2: both minus HAN": points(both.printed),
            "Table 2: both minus CUG only": points(mcg.printed),
            "our runs: both minus HAN": both.told,
            "our runs: both minus CUG only": mcg.told,
        }
    )
show_text(table, right=5)

# %% [markdown]
# The text on the main table does the same once more, with the contrastive loss (C). Its gains are
# introduced as those of adding C to MGN; they are those of MGN with C over *MA* with C. Beside plain
# MGN, C is worth less.

# %% tags=["hide-input"]
contrasted = open_study(
    {"mgn/mgn": "MGN", "mgn/c": "MGN (C)", "ma/c": "MA (C)"}, paper="mgn", table="Table 1", **place
)
table = []
for key, gain in published("mgn", "text", "MGN", "C, gain over MA (C)").items():
    level, kind = key.split("/")
    over_ma = contrasted.step("mgn/c", key, to="ma/c")
    over_mgn = contrasted.step("mgn/c", key)
    table.append(
        {
            "metric": f"{KINDS[kind]}, {level} level",
            "gain of C, by the text": points(gain),
            "Table 1: MGN (C) minus MA (C)": points(over_ma.printed),
            "Table 1: MGN (C) minus MGN": points(over_mgn.printed),
            "our runs: MGN (C) minus MA (C)": over_ma.told,
            "our runs: MGN (C) minus MGN": over_mgn.told,
        }
    )
show_text(table, right=5)

# %% [markdown]
# ### What to make of it


# %% tags=["hide-input"]
def extremes(study: Study, name: str, metrics: dict[str, str]) -> str:
    """Where an experiment stands best, and worst, against the reference in our runs."""
    steps = {title: study.step(name, key) for key, title in metrics.items()}
    ranked = sorted(steps, key=lambda title: -steps[title].measured)
    most, least = ranked[0], ranked[-1]
    return (
        f"highest in {most} ({steps[most].told} points) and lowest in {least} "
        f"({steps[least].told} points)"
    )


printed_loss = grouping.step("mgn/cug_only", "segment/audio").printed
mcg_steps = {
    title: grouping.step("mgn/mgn", key, to="mgn/cug_only") for key, title in SEGMENT.items()
}
printed_best = max(mcg_steps, key=lambda title: mcg_steps[title].printed)
said = [
    f"In print, CUG alone changes audio by {points(printed_loss)} points, which the text leaves out, "
    f"and what MCG adds to CUG is largest in {printed_best} "
    f"({points(mcg_steps[printed_best].printed)}), not in an audio-visual score.",
    grouping.summary(SEGMENT),
]
if scale := told_by_scale(
    "mgn/mgn", "han/han", paper="mgn", table="Table 2", metric="segment/type_av", data=data
):
    said.append(scale)
if "mgn/cug_only" in grouping.per_video:
    said.append(f"CUG alone minus HAN is {extremes(grouping, 'mgn/cug_only', SEGMENT)}.")
    if "mgn/mgn" in grouping.per_video:
        told = ", ".join(f"{title} {step.told}" for title, step in mcg_steps.items())
        clear = sum(step.clear for step in mcg_steps.values())
        wide = sum(step.half_width is not None for step in mcg_steps.values())
        said.append(
            f"MCG on top of it: {told}"
            + (f"; {clear} of the {wide} intervals leave out zero." if wide else ".")
        )
if {"mgn/mcg_only", "mgn/mgn"} <= set(grouping.per_video):
    step = grouping.step("mgn/mgn", "segment/type_av", to="mgn/mcg_only")
    event = grouping.step("mgn/mgn", "event/type_av", to="mgn/mcg_only")
    said.append(
        "Without CUG every second of a video is parsed alike. The step from MCG only to both "
        "therefore contains all that MGN knows about time, besides what CUG does for the decisions "
        f"about the video: {step.told} Type@AV at segment level, {event.told} at event level."
    )
takeaways(said)

# %% [markdown]
# ## Hard or soft assignment
#
# A second can be *shared* among class tokens, by a softmax, or *given* to one of them. The supplement
# tries both in both modules. With logits $s_i$ over the tokens, noise
# $n_i = -\log(-\log u_i)$, $u_i \sim U(0, 1)$, and a stop-gradient $\mathrm{sg}$, the hard version is
# (the paper describes it in words)
#
# $$
# a_i = \frac{\exp(s_i + n_i)}{\sum_k \exp(s_k + n_k)}, \qquad
# a^{\mathrm{hard}} = \mathrm{onehot}\big(\arg\max_i a_i\big) - \mathrm{sg}(a) + a .
# $$
#
# Its values are those of the one-hot vector and its gradients those of $a$. Noise is drawn in
# training only, so hard assignment explores other tokens there and is a plain $\arg\max$ afterwards.
# The supplement finds soft assignment best, and explains it by seconds in which several classes are
# on at once.

# %% tags=["hide-input"]
code(Assignment.share)

# %% [markdown]
# ### What the four settings do
#
# The release has four grouping blocks, not three. Before the class tokens see the sound, its
# seconds are grouped onto those of the image by an extra block; and in this block the flag is
# inverted. The table reads the settings off the networks. "Hard" includes noise in training.

# %% tags=["hide-input"]
PAIRS = [(u, c) for u in ("soft", "hard") for c in ("soft", "hard")]
BLOCKS = {
    "segment_grouping": "sound onto image (extra block)",
    "audio_grouping": "sound onto class tokens",
    "visual_grouping": "image onto class tokens",
    "cross_modal_grouping": "audio tokens onto visual ones",
}
archive, about = open_golden(HOME / "tests" / "parity" / "golden", "mgn.npz")
state = rule_state(names_and_shapes(archive), about["norm_weight_names"])
networks = {
    pair: load_released("mgn", state, unimodal=pair[0], crossmodal=pair[1]) for pair in PAIRS
}
show_text(
    [
        {
            "setting": f"{unimodal} CUG, {crossmodal} MCG",
            **{
                title: "hard" if getattr(network, block).assignment.hard else "soft"
                for block, title in BLOCKS.items()
            },
            "a second's score is the video's times": (
                "a softmax over time of a softmax over classes, plus 1"
                if unimodal == "soft"
                else "1 for the class that it is given to, else 0"
            ),
        }
        for (unimodal, crossmodal), network in networks.items()
    ]
)

# %% [markdown]
# So no setting is soft throughout, and none is hard throughout. This also explains a sentence of the
# paper that seems to contradict the supplement: the method section says that audio is merged with
# visual features by a *hard* softmax, while the printed scores belong to soft assignment in both
# modules. The extra block does just that merging, and under soft assignment it is the hard one. It
# may also be the layer with hard attention that the introduction announces and the method section
# does not have. Whether its flag was meant to be inverted, the documents do not say.
#
# Switching CUG to hard therefore changes three things together: how seconds reach the class tokens,
# how sound is laid onto the image (hard becomes soft), and the score of a second. The next cell
# parses the four golden videos twice in training mode, without drop-path, and shows which of the
# three video-level probabilities are random at all.

# %% tags=["hide-input"]
*inputs, labels = rule_inputs()
rows = []
for pair in PAIRS:
    options = {"unimodal": pair[0], "crossmodal": pair[1], "drop_path": 0.0}
    network = load_released("mgn", state, **options).train()
    with torch.no_grad():
        once, again = (seeded(seed, lambda n=network: n(*inputs)) for seed in (1, 2))
    rows.append(
        {
            "setting": f"{pair[0]} CUG, {pair[1]} MCG",
            **{
                f"{name} probability": "random" if (one - two).abs().max() > 1e-7 else "the same"
                for name, one, two in zip(
                    ("audio", "visual", "joint"),
                    (once.audio, once.visual, once.video),
                    (again.audio, again.visual, again.video),
                    strict=True,
                )
            },
        }
    )
show_text(rows)

# %% [markdown]
# ### Held to the release
#
# The released network was run in the four settings on weights and inputs that follow from a rule.
# The table compares the outputs of ours, and counts how many of the 25 classes of a second can be on
# at all, because their score is not zero.

# %% tags=["hide-input"]
rows = []
for (unimodal, crossmodal), network in networks.items():
    with torch.no_grad():
        parsing = network(*inputs)
    prefix = f"{unimodal}_{crossmodal}__"
    compared = {
        "global_prob": parsing.video,
        "a_prob": parsing.audio,
        "v_prob": parsing.visual,
        "a_frame_prob": parsing.segment_audio,
        "v_frame_prob": parsing.segment_visual,
    }
    apart = [np.abs(ours.numpy() - archive[prefix + key]).max() for key, ours in compared.items()]
    assert max(apart) < 5e-6
    scores = torch.stack([parsing.segment_audio, parsing.segment_visual])
    possible = (scores > 1e-6).sum(dim=-1).unique().tolist()
    rows.append(
        {
            "setting": f"{unimodal} CUG, {crossmodal} MCG",
            "largest difference, video level": f"{max(apart[:3]):.0e}",
            "largest difference, seconds": f"{max(apart[3:]):.0e}",
            "classes of a second that can be on": ", ".join(map(str, possible)),
        }
    )
show_text(rows, right=3)

# %% [markdown]
# With hard CUG a second has room for one class in each modality. How much does that cost, whatever
# is learnt? The next cell takes the simulated annotation of the test split, keeps in each second and
# modality the class that lasts longest, and scores what is left against all of it. Somebody who
# knew everything and could say one class a second would score at least that; keeping the rarest class
# instead allows more ({doc}`11_does_grouping_localise`), and neither choice is proved best.

# %% tags=["hide-input"]
blocks = list(draw_blocks(SimulatorConfig(**PROFILE_SIZES["full"]), "test"))
heard, seen = (torch.cat([block[i] for block in blocks]) for i in (2, 3))


def longest_class(truth: torch.Tensor) -> torch.Tensor:
    """Bool (N, C, T), with at most one class a second."""
    length = truth.sum(dim=2, keepdim=True) * truth  # (N, C, T)
    kept = torch.zeros_like(truth).scatter(1, length.argmax(dim=1, keepdim=True), True)
    return kept & truth


crowded = {
    name: 100 * (truth.sum(1) > 1).sum().item() / truth.any(1).sum().item()
    for name, truth in (("heard", heard), ("seen", seen))
}
ceiling = evaluate(longest_class(heard), longest_class(seen), heard, seen)
show_text(
    [
        {
            "level": level,
            **{title: f"{ceiling[f'{level}/{key}']:.1f}" for key, title in KINDS.items()},
        }
        for level in ("segment", "event")
    ],
    right=len(KINDS),
)

# %% tags=["hide-input"]
in_print = [assigned.printed(name)["segment/type_av"] for name in assigned.names]
Markdown(
    f"Of the simulated seconds in which anything is heard, {crowded['heard']:.0f} % have several "
    f"classes; of those in which anything is seen, {crowded['seen']:.0f} %. One class a second "
    f"still allows at least {ceiling['segment/type_av']:.1f} Type@AV. The printed scores of the four settings, "
    f"on LLP, lie between {min(in_print)} and {max(in_print)}: it is not the number of classes in a "
    "second alone that holds hard assignment back."
)

# %% [markdown]
# ### Result

# %% tags=["hide-input"]
result_table([*assigned.names], paper="mgn_supp", table="Table 2", **place)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ablation-assignment", "caption": "Hard assignment against soft assignment in both modules, at segment level: dots with bars are differences of our runs with 95 % intervals, dashes those of the scores that Table 2 of MGN's supplement prints for LLP. The title names the runs; on simulated LLP they are simulated."}, "image": {"alt": "Five panels, one a metric, with rows for hard CUG, hard MCG and both hard. In each row a dot with an interval shows the measured difference from soft assignment in points, and a dash the printed one; a vertical line marks zero."}}
_ = differences(assigned.steps(SEGMENT), reference="soft CUG, soft MCG", title=assigned.told)

# %% [markdown]
# ### What to make of it

# %% tags=["hide-input"]
printed = {
    title: {
        SEGMENT[key]: assigned.step(name, key).printed
        for key in SEGMENT
        if assigned.step(name, key).printed is not None
    }
    for name, title in assigned.names.items()
    if name != assigned.reference
}
below = sum(value < 0 for by_metric in printed.values() for value in by_metric.values())
smallest = min(
    (abs(value), title, name)
    for title, by_metric in printed.items()
    for name, value in by_metric.items()
)
said = [
    f"In print, {below} of {sum(map(len, printed.values()))} scores fall below those of soft "
    f"assignment; the smallest change is {smallest[0]:.1f} points ({smallest[1]}, {smallest[2]}).",
    assigned.summary(SEGMENT),
]
if {"mgn/hard_soft", "mgn/soft_hard"} <= set(assigned.per_video):
    cug, mcg = (
        assigned.step(name, "segment/type_av") for name in ("mgn/hard_soft", "mgn/soft_hard")
    )
    said.append(
        f"Hard CUG changes Type@AV by {cug.told} points, hard MCG by {mcg.told}. Only hard CUG "
        "touches how a second is scored; whatever hard MCG does has to come through the joint "
        "probability of the video, which gates the seconds."
    )
takeaways(said)

# %% [markdown]
# With hard CUG the score of a second is 1 for one class in each modality, that whose token the second
# is given to, and 0 for all others. No loss asks which class that is: the losses see the scores of the
# video alone, and the rest of the network can make these right wherever a second is put. The runs keep
# a few test videos whole, so one can look. Of the classes that a network finds in such a video, with a
# probability of at least 0.5, and that are really heard there, how many are on in no second of the
# sound? And of those that are seen, in no second of the image?


# %% tags=["hide-input"]
def found_in_kept(path) -> dict:
    """Of one run: classes found in kept videos, those true in a modality, and of these on nowhere."""
    run = read_arrays(path)
    found = run["timelines/video"] >= 0.5  # (K, C)
    counts = {
        "loss of the last epoch": f"{run['history/loss'][-1]:.2f}",
        "found in the video": int(found.sum()),
    }
    for modality, verb in zip(MODALITIES, ("heard", "seen"), strict=False):
        true = found & run[f"timelines/true_{modality}"].any(axis=2)
        nowhere = true & ~(run[f"timelines/segment_{modality}"] >= 0.5).any(axis=1)
        counts |= {f"of these {verb}": int(true.sum()), f"{verb}, on nowhere": int(nowhere.sum())}
    return counts


kept = {
    title: [found_in_kept(path) for path in assigned.drawn[name].paths]
    for name, title in assigned.names.items()
    if name in assigned.per_video
}
show_text(
    [
        {"setting": title} | {what: ", ".join(str(seed[what]) for seed in of) for what in of[0]}
        for title, of in kept.items()
    ]
    or [{"setting": assigned.missing}]
)

# %% tags=["hide-input"]
said = []
for first in ("soft", "hard"):
    of = [seed for title in kept if title.startswith(first) for seed in kept[title]]
    if of:
        nowhere, true = (
            sum(seed[what.format(verb)] for seed in of for verb in ("heard", "seen"))
            for what in ("{}, on nowhere", "of these {}")
        )
        said.append(f"with {first} CUG {nowhere} of {true} ({100 * nowhere / max(true, 1):.0f} %)")
said = [f"One number a seed, {assigned.told}. On nowhere: {', '.join(said)}."] if said else []
pairs = [
    (seed[f"{verb}, on nowhere"] / seed[f"of these {verb}"], run.metrics[f"segment/{modality}"])
    for name, title in assigned.names.items()
    if title.startswith("hard") and title in kept
    for run, seed in zip(assigned.drawn[name].runs, kept[title], strict=True)
    for modality, verb in zip(MODALITIES, ("heard", "seen"), strict=False)
    if seed[f"of these {verb}"]
]
if len(pairs) > 3 and all(len(set(values)) > 1 for values in zip(*pairs, strict=True)):
    rank = spearmanr(*zip(*pairs, strict=True)).statistic
    said.append(
        f"Over the {len(pairs)} pairs of a training with hard CUG and a modality, that share and the "
        f"modality's score at segment level have a rank correlation of {rank:.2f}."
    )
takeaways(said or [assigned.missing])

# %% [markdown]
# ## Which modality is refined
#
# MA drops a label from a modality in which the event seems not to occur. Its third table drops from
# one modality at a time. The authors expect the visual labels to be the unreliable ones, since a
# microphone hears the whole scene and a camera sees what it is pointed at; they report that refining
# these gives most of the gain, and that refining both is better still, on every metric.
#
# ### What the settings change
#
# The loss has three targets: of the video, of its sound, of its image. In the release the target of
# the sound and that of the video are one array. The next cell takes a label that both modalities
# would lose and reads off what becomes of the three targets.

# %%
weak = torch.zeros(1, 25, dtype=torch.bool)
weak[0, 0] = True
settings = {
    "nothing": refined_targets(weak, ~weak, ~weak),
    "audio labels": refined_targets(weak, weak, weak, modality="audio"),
    "visual labels": refined_targets(weak, weak, weak, modality="visual"),
    "both": refined_targets(weak, weak, weak),
    "both, video label kept": refined_targets(weak, weak, weak, released=False),
}

# %% tags=["hide-input"]
show_text(
    [
        {
            "refined": name,
            **{part: f"{value[0, 0]:.2f}" for part, value in targets._asdict().items()},
        }
        for name, targets in settings.items()
    ],
    right=3,
)

# %% [markdown]
# Refining "audio" changes two terms of the loss, refining "visual" one. Decisions about seconds are
# gated by the probabilities of the modalities in MA, so a wrong video-level target does its harm
# inside the network only. The last line is what was probably intended; the chapter on refinement
# trains it too.
#
# How many labels are at stake differs as well. In simulated data the truth is known, so the table
# can say how many labels each modality has that are not true of it, and how many of those dropped
# were among them.

# %% tags=["hide-input"]
both = refined.drawn["ma/cr"]
if both.runs:
    counts = [read_arrays(path) for path in both.paths]
    labels = np.mean([c["refinement/labels"].sum() for c in counts])
    removed = np.mean([c["refinement/removed"].sum(1) for c in counts], axis=0)
    rows = []
    for m, modality in enumerate(MODALITIES[:2]):
        row = {
            "modality": modality,
            "labels": f"{labels:,.0f}",
            "dropped (%)": f"{100 * removed[m] / labels:.1f}",
        }
        if all("refinement/absent" in c for c in counts):
            absent, right = (
                np.mean([c[f"refinement/{key}"].sum(1) for c in counts], axis=0)
                for key in ("absent", "right")
            )
            row |= {
                "not true of the modality (%)": f"{100 * absent[m] / labels:.1f}",
                "dropped rightly (% of dropped)": f"{100 * right[m] / max(removed[m], 1):.0f}",
            }
        rows.append(row)
    told = show_text(rows, right=len(rows[0]) - 1).data + f"\n\nMA (C+R) on {both.told}."
else:
    told = f"MA (C+R): {both.told}"
Markdown(told)

# %% [markdown]
# ### Result
#
# The table in the paper has no row without refinement. MA with the contrastive loss alone, from its
# second table, is that row, and the figure subtracts it.

# %% tags=["hide-input"]
result_table([*refined.names][1:], paper="ma", table="Table 3", **place)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ablation-modality", "caption": "Refining audio labels, visual labels or both against refining none, MA (C), at segment level: dots with bars are differences of our runs with 95 % intervals, dashes those of scores that MA's Tables 2 and 3 print for LLP. The title names the runs; on simulated LLP they are simulated."}, "image": {"alt": "Five panels, one a metric, with rows for refined audio labels, visual labels and both. In each row a dot with an interval shows the measured difference from no refinement in points, and a dash the printed one; a vertical line marks zero."}}
_ = differences(refined.steps(SEGMENT), reference="MA (C), nothing refined", title=refined.told)

# %% [markdown]
# ### What to make of it

# %% tags=["hide-input"]
over_visual = {
    title: refined.step("ma/cr", key, to="ma/cr_visual") for key, title in SEGMENT.items()
}
worse = [
    f"{title} ({points(step.printed)})" for title, step in over_visual.items() if step.printed <= 0
]
audio_alone = {SEGMENT[key]: points(refined.step("ma/cr_audio", key).printed) for key in SEGMENT}
said = [
    "The text has refining both ahead of refining the visual labels on all metrics. In print this "
    f"holds on {len(over_visual) - len(worse)} of {len(over_visual)}; the exception is "
    f"{', '.join(worse)}."
    if worse
    else "In print refining both is ahead of refining the visual labels on all metrics.",
    "What the audio labels alone do in print is mixed: "
    + ", ".join(f"{title} {value}" for title, value in audio_alone.items())
    + " against refining none.",
    refined.summary(SEGMENT),
]
if {"ma/cr", "ma/cr_visual"} <= set(refined.per_video):
    told = ", ".join(f"{title} {step.told}" for title, step in over_visual.items())
    said.append(f"Both minus visual alone, in our runs: {told}.")
if {"ma/cr_audio", "ma/cr_visual"} <= set(refined.per_video):
    step = refined.step("ma/cr_visual", "segment/visual", to="ma/cr_audio")
    said.append(
        f"On the visual score, refining visual labels is {step.told} points away from refining audio "
        f"labels ({points(step.printed)} in print)."
    )
takeaways(said)

# %% [markdown]
# ## Temperature
#
# The contrastive loss asks a second of sound to be more similar to its own second of the image than
# to the other nine:
#
# $$
# \mathcal L_c(t) = -\log\frac{\exp(f_t^{v\top}\hat f_t^{\,a}/\tau)}
# {\sum_{j=1}^{T}\exp(f_j^{v\top}\hat f_t^{\,a}/\tau)} \tag{8}
# $$
#
# (numbered as in MA). The paper writes that scores rise a little as the temperature $\tau$ falls, and
# settles on 0.2. Our rows train the base model and the network after refinement at the same
# temperature; the paper does not say whether the base model of its rows changed too.
#
# ### What the temperature asks for
#
# The release smooths the target of this loss: 0.9 for the own second, the rest spread over the other
# $T - 1 = 9$. That gives the loss a minimum at a finite distance. If the own second has cosine $c$
# and all others $c - g$, the softmax meets the target where
# $e^{g/\tau} = 0.9 \, / \, (0.1/9) = 81$, that is, at the gap
#
# $$
# g = \tau \log 81 .
# $$
#
# Cosines lie in $[-1, 1]$, so a gap is at most 2. The next cell finds the minimum numerically.

# %% tags=["hide-input"]
gaps = torch.linspace(0, 2, 2001)
rows = []
for tau in (0.1, 0.2, 0.3, 0.4):
    similarity = torch.zeros(1, 10, 10)
    losses = [
        contrast(similarity + gap * torch.eye(10), temperature=tau).item() for gap in gaps.tolist()
    ]
    least = int(np.argmin(losses))
    rows.append(
        {
            "temperature": f"{tau}",
            "best gap of cosines, by the formula": f"{tau * math.log(81):.2f}",
            "found": f"{gaps[least]:.2f}",
            "loss there": f"{losses[least]:.3f}",
            "loss if all seconds are alike": f"{losses[0]:.3f}",
        }
    )
show_text(rows, right=5)

# %% [markdown]
# So the temperature sets how far apart the seconds of a video shall lie, and with label smoothing a
# *lower* one asks for less. At 0.2 the own second has to stand out by nearly one, at 0.4 by almost
# all that cosines can give. Videos whose sound and image hardly change from second to second cannot
# comply with either.
#
# ### Result

# %% tags=["hide-input"]
result_table(
    sorted(temperature.names, key=lambda name: temperature.names[name]),
    paper="ma",
    table="Table 4",
    **place,
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ablation-temperature", "caption": "Three temperatures against 0.2, MA (C+R), at segment level: dots with bars are differences of our runs with 95 % intervals, dashes those of the scores that MA's Table 4 prints for LLP. The title names the runs; on simulated LLP they are simulated."}, "image": {"alt": "Five panels, one a metric, with rows for the temperatures 0.1, 0.3 and 0.4. In each row a dot with an interval shows the measured difference from temperature 0.2 in points, and a dash the printed one; a vertical line marks zero."}}
_ = differences(temperature.steps(SEGMENT), reference="temperature 0.2", title=temperature.told)

# %% [markdown]
# ### What to make of it
#
# If scores rose as the temperature falls, every metric would be best at the lowest one. The table
# lists where each is best, and how far apart the best and the worst are.


# %% tags=["hide-input"]
def value(name: str) -> str:
    return temperature.names[name].removeprefix("temperature ")


rows = []
for key, title in SEGMENT.items():
    in_print = {value(name): temperature.printed(name)[key] for name in temperature.names}
    ours = {
        value(name): temperature.score(name, key).mean
        for name in temperature.names
        if name in temperature.per_video
    }
    row = {"metric": title}
    for source, scores in (("in print", in_print), ("in our runs", ours)):
        complete = len(scores) == len(temperature.names)
        top = max(scores.values()) if complete else None
        best = " and ".join(sorted(tau for tau, score in scores.items() if score == top))
        row |= {
            f"best {source}": best if complete else "not run",
            f"range {source}": f"{top - min(scores.values()):.1f}" if complete else "not run",
        }
    rows.append(row)
show_text(rows, right=4)

# %% tags=["hide-input"]
lowest = [row["metric"] for row in rows if row["best in print"] == "0.1"]
gap = max(float(row["range in print"]) for row in rows)
said = [
    f"In print the lowest temperature is best in {', '.join(lowest) or 'no metric'} only: the text's "
    f"trend is not in its table. The largest range in print is {gap:.1f} points.",
    temperature.summary(SEGMENT),
]
off, rows_looked_at = [], 0
for table, kind, values in (
    ("Table 4", "tau", ("0.1", "0.2", "0.3", "0.4")),
    ("Table 3", "refine", ("audio", "visual", "both")),
):
    for setting in values:
        cells = published("ma", table, "MA", f"{kind}={setting}")
        mean = sum(cells[f"segment/{k}"] for k in ("audio", "visual", "audio_visual")) / 3
        rows_looked_at += 1
        # Three rounded scores and a rounded mean of them differ by 0.1 at most.
        if abs(cells["segment/type_av"] - mean) > 0.1 + 1e-9:
            off.append(f"{setting} in {table} ({cells['segment/type_av']:.1f} for {mean:.2f})")
said.append(
    "A caution about small differences in these two tables: Type@AV is the mean of the three scores "
    f"beside it, and in {len(off)} of their {rows_looked_at} rows it is off by more than rounding: "
    f"{'; '.join(off)}."
)
takeaways(said)

# %% [markdown]
# ## What the ablations say together
#
# The last table of results puts the size of the effects beside the size of the intervals. Where the
# interval of a difference is wider than the printed difference, no single pair of trainings could
# have shown it.

# %% tags=["hide-input"]
rows = []
for name, study in studies.items():
    steps = [step for by_metric in study.steps(SEGMENT).values() for step in by_metric.values()]
    in_print = [abs(step.printed) for step in steps if step.printed is not None]
    wide = [step.half_width for step in steps if step.half_width is not None]
    hidden = sum(
        abs(step.printed) < step.half_width
        for step in steps
        if step.printed is not None and step.half_width is not None
    )
    with_both = sum(step.printed is not None and step.half_width is not None for step in steps)
    lacking = "one seed" if any(step.measured is not None for step in steps) else "not run"
    rows.append(
        {
            "study": name,
            "differences in print, median": f"{np.median(in_print):.1f}",
            "half an interval here, median": f"{np.median(wide):.1f}" if wide else lacking,
            "printed differences smaller than their interval here": (
                f"{hidden} of {with_both}" if with_both else lacking
            ),
            "differences here that leave out zero": (
                f"{sum(step.clear for step in steps)} of {len(wide)}" if wide else lacking
            ),
        }
    )
show_text(rows, right=4)

# %% [markdown]
# The intervals are for means over our seeds; of single trainings, as in print, they would be wider
# still. What made these numbers:

# %% tags=["hide-input"]
provenance_table(list(dict.fromkeys(n for study in studies.values() for n in study.names)), **place)

# %% [markdown]
# ## The claims

# %% tags=["hide-input"]
claims_table("ablations", **place)
