# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Contrastive learning across modalities
#
# Attention lets every second read all the others, and nothing in the loss asks it to remember
# which second it is. MA {cite}`ma` adds a task that does: a second of sound, after attention, has
# to point at its own second of image among the ten of its video. No label is needed for that. This
# chapter takes the task apart, shows what its temperature and its smoothing ask for, holds the code
# to the release, and then looks at two things that the printed tables cannot tell: what the task
# presupposes about videos, and how much of a difference between methods is their decision rule.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from torch import Tensor

from avvp.cells import agreement, code, measured_on, show, show_text, takeaways
from avvp.claims import claims_table
from avvp.data import SimulatorConfig, load
from avvp.data.simulate import draw_blocks, world_of
from avvp.experiments import REGISTRY
from avvp.figures import note, use_style
from avvp.figures.contrast import by_temperature, contrastive_curves, similarity_maps
from avvp.losses import ContrastiveObjective, contrast, weak_targets
from avvp.metrics import METRICS
from avvp.models import build, load_released
from avvp.models.layers import segment_similarity
from avvp.models.released import released_name
from avvp.parity import names_and_shapes, open_golden, rule_inputs, rule_state
from avvp.results import HOME, estimate, read_arrays
from avvp.scored import GATES
from avvp.studies import Step, open_study, told_by_scale
from avvp.tables import provenance_table, result_table
from avvp.training import seeded

use_style()


# %% [markdown]
# ## The idea
#
# Suppose that a dog barks in the third second of a video and nowhere else. After attention, the
# features of all ten seconds may carry some of that bark, because every second may read the third.
# For the label of the video this is no loss: the bark is in there. For the question *when* it is.
#
# The remedy is a task of the model's own making. Take the sound of one second as it is after
# attention, and the images of all ten seconds as they were before it. Ask which image belongs to
# the sound. Only who has kept apart what happens when can answer. The nine wrong candidates come
# from the same video, with the same room, the same camera and mostly the same events, so that
# knowing the video is of no help.
#
# The task has two suppositions, and both will be measured below. Something in the image has to
# change from second to second, and the sound has to change *with it*. In a video in which a
# violin is played for ten seconds before a still camera there is nothing to find.
#
# ## The equation
#
# Let $\hat f_t^{\,a}$ be the sound of second $t$ after the hybrid attention of {doc}`05_han`, and
# $f_j^v$ the image of second $j$ before it, both scaled to unit length, so that their product is
# the cosine of the angle between them. With a temperature $\tau$ the loss of second $t$ is a
# cross-entropy over the $T$ seconds of the video,
#
# $$
# \mathcal{L}_c = -\log
# \frac{\exp(f_t^{v\top} \hat f_t^{\,a} / \tau)}{\sum_j \exp(f_j^{v\top} \hat f_t^{\,a} / \tau)},
# \tag{8}
# $$
#
# numbered as in MA, which sets $\tau = 0.2$. The whole of it in code:

# %% tags=["hide-input"]
code(segment_similarity, contrast)

# %% [markdown]
# Every network of this book that can be trained with the term returns the cosines as an extra. A
# row is a second of sound, a column a second of image. An untrained network has no preference, and
# its loss is that of ten equal candidates, $\ln 10$.

# %%
batch = next(load("smoke", "train").batches(batch_size=16))
features, weak = batch[1:4], batch.weak
network = seeded(1, lambda: build("han")).eval()
parsing = network(*features)
cosines = parsing.extras["similarity"].detach()
print(f"cosines {tuple(cosines.shape)}, from {cosines.min():.2f} to {cosines.max():.2f}")
print(f"loss of the untrained network {contrast(cosines):.3f}, ln 10 = {np.log(10):.3f}")

# %% [markdown]
# ## What the temperature does
#
# A cosine lies in $[-1, 1]$, and a softmax of numbers that small is nearly flat. Dividing by $\tau$
# stretches them. Take a made-up video in which a second of sound resembles the images around it,
# the less the further away they are, and look at the row of one second: the softmax over the ten
# images, and the gradient of the loss with respect to each cosine.

# %%
TEMPERATURES = (0.1, 0.2, 0.3, 0.4)
OWN = 4
apart = (torch.arange(10)[:, None] - torch.arange(10)).abs()
made_up = 0.6 * torch.exp(-apart / 2)[None]  # (1, T, T)


def gradient(temperature: float, label_smoothing: float = 0.1) -> Tensor:
    """Of the loss of one second, with respect to its ten cosines."""
    leaf = made_up.clone().requires_grad_()
    loss = contrast(leaf, temperature=temperature, label_smoothing=label_smoothing)
    (found,) = torch.autograd.grad(10 * loss, leaf)  # the loss is the mean over ten rows
    return found[0, OWN]


softmax = {t: (made_up[0, OWN] / t).softmax(-1).tolist() for t in TEMPERATURES}
pull = {t: gradient(t).tolist() for t in TEMPERATURES}

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-contrast-temperature", "caption": "One second of sound against the ten images of a made-up video, at four temperatures: the softmax over the images (left) and the gradient of the released loss with respect to each cosine (right). The second's own image is shaded."}, "image": {"alt": "Two line plots over the ten seconds. Left, the softmax peaks at the shaded second; the peak is high and narrow at temperature 0.1 and low and wide at 0.4. Right, the gradient is negative at the shaded second and positive elsewhere, largest at its neighbours, and its size differs between temperatures."}}
_ = by_temperature(
    {"softmax": softmax, "gradient of the loss": pull}, own=OWN, xlabel="time in the image (s)"
)

# %% [markdown]
# The gradient of a row is (softmax − target) / $\tau$. A low temperature spends it on the few
# candidates that come close to the right one, the neighbours; a high one spreads it over all nine.
# At 0.1 the far seconds are even pulled nearer: their softmax has fallen below the share that the
# released target leaves them.
#
# The paper's target is one-hot. The release smooths it: 0.9 for the right second and a tenth,
# shared by the nine others. That looks like a detail and changes what is asked for. With one-hot
# targets more is always better. With smoothed ones the loss has a minimum at a finite margin
# between the right cosine and the others, at which the softmax is exactly the target. For equal
# wrong candidates that margin is
#
# $$
# \Delta^* = \tau \ln \frac{0.9}{0.1 / 9} = \tau \ln 81,
# $$
#
# so that $\tau$ is not only a sharpness: it is the margin that the network is told to keep. The
# next cell searches for the minimum instead of trusting the formula.


# %%
def at_margin(margin: Tensor, temperature: float, label_smoothing: float) -> Tensor:
    """The loss where the right cosine is larger than the nine others by ``margin``."""
    rows = margin[:, None, None] * torch.eye(10, dtype=margin.dtype)
    return torch.stack(
        [
            contrast(row[None], temperature=temperature, label_smoothing=label_smoothing)
            for row in rows
        ]
    )


margins = torch.linspace(0, 2, 401, dtype=torch.double)
rows = []
for temperature in TEMPERATURES:
    released, printed = (at_margin(margins, temperature, s) for s in (0.1, 0.0))
    rows.append(
        {
            "temperature": temperature,
            "margin of the least loss, released": margins[released.argmin()].item(),
            "by the formula": temperature * np.log(81),
            "least loss, released": released.min().item(),
            "margin of the least loss, as printed": margins[printed.argmin()].item(),
            "least loss, as printed": printed.min().item(),
        }
    )
least_contrast = rows[TEMPERATURES.index(0.2)]["least loss, released"]
show(pd.DataFrame(rows), ".3f")

# %% [markdown]
# As printed, the least loss is at the end of the searched range whatever the temperature, because
# there is no such margin: two is the largest that cosines allow. As released, the target margin
# grows in proportion to the temperature and comes near that limit at 0.4.
#
# ## Which way, and how much
#
# Three more choices of the release are not in the equation.
#
# - *One direction.* The sound after attention is matched to the image before it. The mirror image,
#   vision after attention against sound before it, is computed in the release's second stage and
#   used nowhere.
# - *Negatives from the same video only*, as printed, although the batch would offer 150 more.
# - *Weight one*, beside the three terms of HAN's loss, and a mean over seconds and videos.
#
# The objective adds the term to those of HAN:

# %% tags=["hide-input"]
code(ContrastiveObjective._contrastive)

# %% [markdown]
# Nothing is held constant: the images that serve as candidates take part in the learning. The next
# cell sends the gradient of the term alone into an untrained HAN and measures what reaches each
# part. The layers of the attention are shared by both modalities, so that a term which looks only
# at the sound after attention also changes what attention does to the image. The classifier and
# the pooling see nothing of it.

# %% tags=["hide-input"]
term = ContrastiveObjective()._contrastive(parsing, weak_targets(weak))
term.backward()
before = network.front_end
parts = {
    "linear layer of the sound": before.audio,
    "linear layer of the 2D image features": before.visual_2d,
    "linear layer of the 3D image features": before.visual_3d,
    "fusion of the two": before.fusion,
    "attention within a modality": network.hybrid_attention.self_attention,
    "attention across modalities": network.hybrid_attention.cross_attention,
    "classifier and pooling": network.pooling,
}


def gradient_norm(module: torch.nn.Module) -> float:
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    return torch.cat([g.flatten() for g in grads]).norm().item() if grads else 0.0


show(
    pd.DataFrame(
        [
            {"part of HAN": name, "norm of the gradient": gradient_norm(module)}
            for name, module in parts.items()
        ]
    ),
    ".4f",
)

# %% [markdown]
# ## Held to the release
#
# The authors' code was run on weights and inputs that follow a rule, and what it gave is committed
# in `tests/parity/golden/ma.npz`. The same weights under their released names, the same inputs, and
# our network and loss:

# %%
archive, about = open_golden(HOME / "tests" / "parity" / "golden", "ma.npz")
state = rule_state(names_and_shapes(archive), about["norm_weight_names"])
released = load_released("ma", state)
*inputs, labels = rule_inputs()
parsed = released(*inputs)
loss, terms = ContrastiveObjective()(parsed, weak_targets(labels))
loss.backward()
with torch.no_grad():
    sound, image, sound_after, image_after, _ = released.features(*inputs)
    mirrored = segment_similarity(sound, image_after)

# %% tags=["hide-input"]
tolerance = {"output": 5e-6, "loss": 1e-5, "gradient": 1e-4}


def largest(ours: Tensor, key: str) -> float:
    return float(np.abs(ours.detach().numpy() - archive[key]).max())


wanted = dict(zip(archive["grad_names"].tolist(), archive["grad_norms"].tolist(), strict=True))
zero = set(archive["zero_grad_names"].tolist())
norms = {released_name("ma", n): p.grad.norm().item() for n, p in released.named_parameters()}
assert set(norms) == set(wanted)
relative = max(abs(norms[n] - wanted[n]) / wanted[n] for n in set(wanted) - zero)
four = torch.stack([terms[name] for name in ("audio", "visual", "video", "contrastive")])
compared = [
    (
        "cosines / 0.2, sound after against image before",
        largest(parsed.extras["similarity"].flatten(0, 1) / 0.2, "sims"),
        "output",
    ),
    (
        "the direction that is not used, times 5",
        largest(mirrored.flatten(0, 1) * 5, "step2_sims2"),
        "output",
    ),
    ("contrastive term", largest(terms["contrastive"], "contrastive_loss"), "loss"),
    ("the four terms", largest(four, "loss_parts"), "loss"),
    ("their sum", largest(loss, "loss"), "loss"),
    (f"norms of {len(wanted) - len(zero)} gradients, relative", relative, "gradient"),
]
agreement([(what, found, tolerance[kind]) for what, found, kind in compared])

# %% tags=["hide-input"]
golden = torch.from_numpy(archive["sims"]).reshape(4, 10, 10) * 0.2
other_way = contrast(mirrored)
Markdown(
    f"On these inputs the released term is {terms['contrastive'].item():.4f}. With the one-hot "
    f"target of Equation 8 it would be {contrast(golden, label_smoothing=0).item():.4f}, and in the "
    f"direction that the release leaves out {other_way.item():.4f}. Of the checkpoint's "
    f"{len(state)} entries {len(released.unused_released)} are never used: HAN's idle modules, and "
    "four more of MA's own."
)

# %% [markdown]
# ## The protocol
#
# MA's release trains in another way than HAN's (and for fewer epochs than its paper prints:
# {doc}`17_paper_and_code`), and this is easy to mistake for a part of the method. So there is an extra row, HAN under MA's protocol, that printed tables do not have: what
# the contrastive term adds is its distance to *that* row.

# %% tags=["hide-input"]
rows = []
for name in ("han/han", "ma/base", "ma/c"):
    experiment = REGISTRY[name]
    training = experiment.training
    rows.append(
        {
            "experiment": experiment.title,
            "epochs": training.epochs,
            "learning rate / 10 after every": training.decay_every,
            "weights kept": training.selection,
            "decisions gated by": training.gate,
            "terms of the loss": ", ".join(experiment.objective.weights),
        }
    )
show(pd.DataFrame(rows))

# %% [markdown]
# The last column but one matters more than it seems. HAN lets a class through in a second if its
# *joint* probability for the video is at least one half, MA if the probability of the second's own
# modality is. The section on decision rules below says what that is worth.
#
# ## Results
#
# From here on the numbers come from trained networks. What is committed, or was trained by this
# build, on the videos that all methods of this chapter have in common:

# %% tags=["hide-input"]
TABLE_2 = ("han/han", "ma/base", "ma/c", "ma/r", "ma/cr")
MGN = ("mgn/mgn", "mgn/c")
BASES = ("ma/c_temperature_0.1", "ma/c", "ma/c_temperature_0.3", "ma/c_temperature_0.4")
FULL = tuple(name.replace("ma/c", "ma/cr") for name in BASES)
NAMES = tuple(dict.fromkeys((*TABLE_2, *MGN, *BASES, *FULL)))
here = {"profile": profile, "data": data}
title = {name: REGISTRY[name].label for name in ("ma/base", *NAMES)}
study = open_study(title, paper="ma", table="Table 2", **here)
drawn = study.drawn
arrays = {name: [read_arrays(path) for path in chosen.paths] for name, chosen in drawn.items()}


def have(key: str, *names: str) -> bool:
    """Whether all these experiments have runs, and every run has kept an array."""
    return all(arrays[n] and all(key in run for run in arrays[n]) for n in names)


def same_videos(*names: str) -> bool:
    """Whether all these were scored on the same test videos under the same profile."""
    return set(names) <= set(study.per_video)


Markdown("\n".join(f"- **{title[name]}**: {chosen.told}." for name, chosen in drawn.items()))

# %% [markdown]
# ### The ablation
#
# MA's second table crosses the contrastive term (C) with refined labels (R), the subject of
# {doc}`09_modality_labels`. Its baseline has HAN's scores cell for cell.

# %% tags=["hide-input"]
result_table(TABLE_2, paper="ma", table="Table 2", level="segment", **here)

# %% tags=["hide-input"]
result_table(TABLE_2, paper="ma", table="Table 2", level="event", **here)

# %% [markdown]
# Next, differences, which are what an ablation is for. The tables above show the largest committed
# runs of each method; a difference takes runs of both sides on the same videos, and so do all
# differences of one table: their source column names the largest profile that they have in common.
# What more videos make of them is said at the end of the chapter. An interval stands where both sides
# have two seeds or more; it counts the spread over seeds and over test videos, by the rule of the
# claims.

# %% tags=["hide-input"]
KEYS = {
    "segment/audio": "audio",
    "segment/visual": "visual",
    "segment/audio_visual": "audio-visual",
    "segment/type_av": "Type@AV",
    "event/type_av": "Type@AV, event level",
}
PAIRS = {
    "C alone, protocol included": ("ma/c", "han/han"),
    "MA's protocol alone": ("ma/base", "han/han"),
    "C alone": ("ma/c", "ma/base"),
    "C on top of R": ("ma/cr", "ma/r"),
    "C in MGN": ("mgn/c", "mgn/mgn"),
}
rows = []
for name, (one, other) in PAIRS.items():
    steps = {text: study.step(one, key, to=other) for key, text in KEYS.items()}
    if all(step.printed is not None for step in steps.values()):
        printed = {text: f"{step.printed:+.1f}" for text, step in steps.items()}
        rows.append({"added": name, "source": "published, LLP"} | printed)
    where = drawn[one].told if same_videos(one, other) else ""
    rows.append({"added": name, "source": where} | {k: step.told for k, step in steps.items()})
show_text(rows)

# %% [markdown]
# ### In MGN
#
# MGN {cite}`mgn` adds the same term to its own loss without saying which features it compares. Here
# it compares the sound after its encoder, before the extra block, with the image before its encoder,
# as MA does in HAN ({doc}`10_grouping`); a choice of this book.

# %% tags=["hide-input"]
result_table(MGN, paper="mgn", table="Table 1", level="segment", **here)

# %% tags=["hide-input"]
result_table(MGN, paper="mgn", table="Table 1", level="event", **here)

# %% [markdown]
# ### Temperatures
#
# MA's fourth table varies $\tau$. Our rows vary it for the whole pipeline, base model and
# retraining; the paper does not say whether its base model changed too. By the margin
# computed above these are four different demands, not four degrees of sharpness. The second table
# has the base models alone, which the paper does not print: there the term acts by itself.

# %% tags=["hide-input"]
result_table(FULL, paper="ma", table="Table 4", level="segment", **here)

# %% tags=["hide-input"]
result_table(BASES, paper="ma", table="Table 4", level="segment", **here)

# %% tags=["hide-input"]
provenance_table(NAMES, **here)

# %% [markdown]
# ## Training
#
# {numref}`fig-contrast-training` follows the term. Between the two dotted lines lies all that it
# can do, from no preference to the target margin, and how far it comes down says how much of the
# task can be solved at all.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-contrast-training", "caption": "The contrastive term on training videos (above) and Type@AV at segment level on validation videos (below), by epoch, a line a seed. The title names the runs; on simulated LLP all of it is simulated."}, "image": {"alt": "Two panels above each other over the epochs. Above, the contrastive term of MA and MGN, between a dotted line at the logarithm of ten and one at the least possible value. Below, validation scores of HAN under MA's protocol and of the runs with the contrastive term."}}
WITH_TERM = tuple(n for n in ("ma/c", "ma/cr", "mgn/c") if have("history/contrastive", n))


def by_epoch(name: str, entry: str) -> list[tuple[list[int], list[float]]]:
    return [
        (run["history/epoch"].tolist(), run[f"history/{entry}"].tolist()) for run in arrays[name]
    ]


if WITH_TERM:
    _ = contrastive_curves(
        {title[n]: by_epoch(n, "contrastive") for n in WITH_TERM},
        {
            title[n]: by_epoch(n, "val/segment/type_av")
            for n in ("ma/c", "ma/cr", "mgn/c", "ma/base")
            if have("history/val/segment/type_av", n)
        },
        chance=float(np.log(10)),
        least=least_contrast,
        title=drawn[WITH_TERM[0]].told,
    )
else:
    _ = note(f"MA (C): {drawn['ma/c'].told}")

# %% tags=["hide-input"]
ends = []
for n in WITH_TERM:
    last = estimate([run["history/contrastive"][-1] for run in arrays[n]]).mean
    share = (np.log(10) - last) / (np.log(10) - least_contrast)
    ends.append(f"{title[n]} ends at {last:.2f} nats, {100 * share:.0f} % of the way down")
Markdown("; ".join(ends) + "." if ends else f"MA (C): {drawn['ma/c'].told}.")

# %% [markdown]
# ## What the task presupposes
#
# How well *can* a second of sound find its image? In LLP nobody knows. In the simulation of
# {doc}`03_simulated_llp` it is a parameter, `shared_dynamics`: the amplitude of a style that sound
# and image share and that is drawn anew each second, in units of the noise. It was fixed before any
# method but HAN was run, because HAN's row cannot tell it. Events are a second source: what begins
# to be heard and seen at once also marks a second. But events are coarse. Whoever knew all of them
# could still not tell two seconds apart in which the same things go on.
#
# The next cell puts numbers on both, without any training. The *style matcher* is given the
# directions in which the simulator writes the style, removes from each video what stays the same,
# and compares what is left. The *event matcher* knows the annotation of every second, finds all
# seconds with the same events and guesses among them.


# %% tags=["hide-input"]
def style_matcher(config: SimulatorConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Of each test video: share of seconds found by style, by events, and whether it ever changes."""
    style = world_of(config).style
    by_style, by_events, still = [], [], []
    for block in draw_blocks(config, "test"):
        moving = {k: z - z.mean(dim=1, keepdim=True) for k, z in block.latents.items()}
        found = {k: z @ torch.linalg.pinv(style[k]) for k, z in moving.items()}  # (N, T, style)
        cosine = segment_similarity(found["audio"], found["visual_2d"] + found["visual_3d"])
        by_style.append((cosine.argmax(-1) == torch.arange(10)).float().mean(-1))
        events = torch.cat([block.audio, block.visual], dim=1)  # (N, 2C, T)
        alike = (events[..., :, None] == events[..., None, :]).all(dim=1)  # (N, T, T)
        by_events.append((1 / alike.sum(-1)).mean(-1))
        still.append(alike.all(dim=(1, 2)))
    return torch.cat(by_style), torch.cat(by_events), torch.cat(still)


default = SimulatorConfig().shared_dynamics
rows = []
for amplitude in (0.0, default / 2, default, 2 * default):
    by_style, by_events, still = style_matcher(SimulatorConfig(test=500, shared_dynamics=amplitude))
    rows.append(
        {
            "shared_dynamics": f"{amplitude:g}" + " (this book)" * (amplitude == default),
            "style matcher, all videos (%)": 100 * by_style.mean().item(),
            "where nothing begins or ends (%)": 100 * by_style[still].mean().item(),
            "event matcher, all videos (%)": 100 * by_events.mean().item(),
            "where nothing begins or ends, events (%)": 100 * by_events[still].mean().item(),
        }
    )
possible = next(row for row in rows if "this book" in row["shared_dynamics"])
show(pd.DataFrame(rows))

# %% tags=["hide-input"]
Markdown(
    f"In {100 * still.double().mean():.0f} % of these {len(still)} simulated videos nothing begins "
    "or ends, and there the style is all that there is to go by; chance is 10 %. With "
    "`shared_dynamics` at 0 the task cannot be solved there, and a network that is asked to solve it "
    "can only learn to tell noise by heart. Real videos have such shared dynamics too, from camera "
    "cuts to gestures, but nobody has measured how much. So what this chapter finds about the "
    "contrastive term depends on `shared_dynamics`; {doc}`18_when_does_each_idea_work` turns it."
)

# %% [markdown]
# ### What the networks found
#
# Of every run the cosines of a few test videos are kept, those in which the most events begin or
# end. {numref}`fig-contrast-similarity` shows one of them as three networks see it. A network that
# solves the task has its rings on the diagonal. One that tells events apart and nothing else has
# them in the right block between two dashed lines.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-contrast-similarity", "caption": "Cosines of every second of sound, after attention, with every second of image, before it, in one kept test video. A ring marks the largest of a row; the diagonal is where it should be. Dashed lines mark where something annotated begins or ends, in the sound (across) and in the image (upright). A video whose name begins with sim is simulated."}, "image": {"alt": "Heat maps of ten by ten cells, one for HAN under MA's protocol and one for each network that was trained with the contrastive term. A ring in each row marks its largest cell, a white diagonal the cells of the same second."}}
SHOWN = tuple(n for n in ("ma/base", "ma/c", "ma/cr") if have("timelines/similarity", n))


def kept(name: str, entry: str) -> np.ndarray:
    """An array of the kept videos, over seeds (S, K, ...)."""
    return np.stack([run[f"timelines/{entry}"] for run in arrays[name]]).astype(float)


def truth_of(name: str) -> tuple[Tensor, Tensor]:
    run = arrays[name][0]
    return tuple(torch.from_numpy(run[f"timelines/true_{m}"]) for m in ("audio", "visual"))


if SHOWN:
    video = 0
    ids = arrays[SHOWN[0]][0]["timelines/ids"]
    alike = [n for n in SHOWN if arrays[n][0]["timelines/ids"].tolist() == ids.tolist()]
    _ = similarity_maps(
        {title[n]: torch.from_numpy(kept(n, "similarity")[0, video]) for n in alike},
        tuple(mask[video] for mask in truth_of(SHOWN[0])),
        title=f"{ids[video]}, seed {drawn[SHOWN[0]].runs[0].seed}",
    )
else:
    _ = note(f"MA (C): {drawn['ma/c'].told}")

# %% [markdown]
# The table counts over all kept videos and seeds. *Own second* is how often the largest cosine of a
# row is on the diagonal; chance is one in ten. *Same events* is how often it lies in a second with
# the same annotation as the row's, with what chance would give there. *Margin* is the cosine of the
# own second minus the mean of the other nine, to be held against the margin that the loss asks for.
# Networks without the term show what comes for free.


# %% tags=["hide-input"]
def matches(name: str) -> dict[str, object]:
    cosines = torch.from_numpy(kept(name, "similarity"))  # (S, K, T, T)
    events = torch.cat(truth_of(name), dim=1)  # (K, 2C, T)
    alike = (events[..., :, None] == events[..., None, :]).all(dim=1)  # (K, T, T)
    best = cosines.argmax(-1)  # (S, K, T)
    right = (best == torch.arange(10)).double()
    hit = alike.expand_as(cosines).gather(-1, best[..., None]).double()
    own = cosines.diagonal(dim1=2, dim2=3)
    rest = (cosines.sum(-1) - own) / 9
    return {
        "network": title[name],
        "rows": best.numel(),
        "own second (%)": 100 * right.mean().item(),
        "same events (%)": 100 * hit.mean().item(),
        "same events, chance (%)": 100 * alike.double().mean().item(),
        "margin": (own - rest).mean().item(),
    }


with_cosines = [n for n in NAMES if have("timelines/similarity", n)]
matched = {n: matches(n) for n in with_cosines}
told = f"MA (C): {drawn['ma/c'].told}."
if matched:
    table = pd.DataFrame(list(matched.values()))
    told = show(table, ("", ".0f", ".1f", ".1f", ".1f", ".3f"), on=measured_on(drawn, matched)).data
Markdown(told)

# %% [markdown]
# ### Does it sharpen time?
#
# The task is a means. The end is that a second is judged by what happens in it. For every class
# that is on in some seconds of a kept video and off in others, the next table compares the mean
# probability of the seconds in which it is annotated with that of the others. What attention blurs
# brings the two together; the distance is what a threshold can use.


# %% tags=["hide-input"]
def contrast_in_time(name: str) -> list[dict[str, object]]:
    rows = []
    for modality, true in zip(("audio", "visual"), truth_of(name), strict=True):
        partly = true.any(-1) & ~true.all(-1)  # (K, C)
        p = torch.from_numpy(kept(name, f"segment_{modality}")).transpose(2, 3)  # (S, K, C, T)
        on = (p * true).sum(-1) / true.sum(-1).clamp(min=1)
        off = (p * ~true).sum(-1) / (~true).sum(-1).clamp(min=1)
        rows.append(
            {
                "network": title[name],
                "modality": modality,
                "classes": int(partly.sum()),
                "annotated seconds": on[:, partly].mean().item(),
                "other seconds": off[:, partly].mean().item(),
                "distance": (on - off)[:, partly].mean().item(),
            }
        )
    return rows


sharpened = {
    n: contrast_in_time(n)
    for n in ("ma/base", "ma/c", "ma/r", "ma/cr", "mgn/mgn", "mgn/c")
    if have("timelines/segment_audio", n)
}
told = f"MA (C): {drawn['ma/c'].told}."
if sharpened:
    told = show(
        pd.DataFrame([row for rows in sharpened.values() for row in rows]),
        ("", "", ".0f", ".3f", ".3f", ".3f"),
        on=measured_on(drawn, sharpened),
    ).data
Markdown(told)

# %% [markdown]
# Scores are made of two things, though: which classes a video has, and when they are on. The
# next table takes them apart over all test videos. *Tags* are the probabilities of the two
# modalities at one half, against whether the class is heard, or seen, in any second. *Seconds* are
# the decisions that are scored.


# %% tags=["hide-input"]
def precision_and_recall(true: float, false: float, missed: float) -> tuple[float, float]:
    return 100 * true / max(true + false, 1), 100 * true / max(true + missed, 1)


def tags(run: dict[str, np.ndarray], modality: str) -> tuple[float, float]:
    entries, _, share = np.nan_to_num(run[f"reliability/{modality}"]).T
    held = entries * share
    upper = np.arange(len(held)) >= len(held) // 2
    return precision_and_recall(
        held[upper].sum(), (entries - held)[upper].sum(), held[~upper].sum()
    )


def found_and_placed(name: str) -> list[dict[str, object]]:
    rows = []
    for m, modality in enumerate(("audio", "visual")):
        tagged = np.mean([tags(run, modality) for run in arrays[name]], axis=0)
        seconds = np.mean(
            [precision_and_recall(*np.sum(r.counts[0][m], axis=0)) for r in drawn[name].runs],
            axis=0,
        )
        rows.append(
            {
                "network": title[name],
                "modality": modality,
                "tags: precision": tagged[0],
                "tags: recall": tagged[1],
                "seconds: precision": seconds[0],
                "seconds: recall": seconds[1],
            }
        )
    return rows


placed = {
    n: found_and_placed(n)
    for n in ("ma/base", "ma/c", "ma/r", "ma/cr", "mgn/mgn", "mgn/c")
    if have("reliability/audio", n)
}
told = f"MA (C): {drawn['ma/c'].told}."
if placed:
    told = (
        "In per cent:\n\n"
        + show(
            pd.DataFrame([row for rows in placed.values() for row in rows]),
            on=measured_on(drawn, placed),
        ).data
    )
Markdown(told)

# %% [markdown]
# ## What the decision rule is worth
#
# Networks give probabilities, and a rule makes decisions of them. HAN and MGN gate every second by
# the joint probability of the video, MA by the probability of the modality. A table that sets MA
# beside HAN, each by its own rule, compares both at once. Every run has been scored by all three
# rules, on the same probabilities.

# %% tags=["hide-input"]
RULED = ("han/han", "ma/base", "ma/c", "ma/cr", "mgn/mgn")
RULE_NAMES = {"video": "joint probability", "modality": "own modality", None: "no gate"}


def ruled(name: str, gate: str | None, key: str) -> float:
    row, column = GATES.index(gate), METRICS.index(key)
    return estimate([run["gates"][row, column] for run in arrays[name]]).mean


def rule_table(key: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "network": title[n],
                "its own rule": f"{RULE_NAMES[REGISTRY[n].gate]}: "
                f"{ruled(n, REGISTRY[n].gate, key):.1f}",
            }
            | {text: f"{ruled(n, gate, key):.1f}" for gate, text in RULE_NAMES.items()}
            for n in RULED
            if have("gates", n)
        ]
    )


def rules(key: str) -> Markdown:
    table = rule_table(key)
    if table.empty:
        return Markdown(f"MA (C+R): {drawn['ma/cr'].told}.")
    with_rules = [n for n in RULED if have("gates", n)]
    absent = [f"{title[n]}: {drawn[n].told}" for n in RULED if n not in with_rules]
    left_out = "\n\nWithout scores by other rules: " + "; ".join(absent) + "." if absent else ""
    return Markdown(show_text(table, on=measured_on(drawn, with_rules)).data + left_out)


Markdown("Type@AV at segment level, in per cent:\n\n" + rules("segment/type_av").data)

# %% tags=["hide-input"]
Markdown("Type@AV at event level, in per cent:\n\n" + rules("event/type_av").data)

# %% tags=["hide-input"]
Markdown("Visual, at segment level, in per cent:\n\n" + rules("segment/visual").data)

# %% [markdown]
# ## What to make of it


# %% tags=["hide-input"]
def certain(step: Step) -> str:
    """What an interval says about the sign of a difference."""
    if step.half_width is None:
        return "one seed gives no interval"
    return "the interval excludes 0" if step.clear else "0 is inside the interval"


said = []
MAIN = "segment/type_av"
seg, event = (study.step("ma/c", key, to="ma/base") for key in (MAIN, "event/type_av"))
if seg.measured is not None:
    said.append(
        f"On {drawn['ma/c'].told}, the contrastive term alone "
        f"{'adds to' if seg.measured > 0 else 'costs'} HAN under the same protocol: {seg.told} "
        f"points of Type@AV at segment level ({certain(seg)}) and {event.told} at event level "
        f"({certain(event)})."
    )
protocol = study.step("ma/base", MAIN, to="han/han")
if protocol.measured is not None:
    said.append(
        f"MA's protocol without the term is worth {protocol.told} ({certain(protocol)}): a "
        "comparison with HAN's own row mixes the two."
    )
refined = study.step("ma/cr", MAIN, to="ma/r")
if refined.measured is not None:
    said.append(
        f"On refined labels the term is worth {refined.told} ({certain(refined)}); in print "
        f"{refined.printed:+.1f}."
    )
in_mgn = study.step("mgn/c", MAIN, to="mgn/mgn")
if in_mgn.measured is not None:
    said.append(f"In MGN it is worth {in_mgn.told} ({certain(in_mgn)}).")
if {"ma/base", "ma/c"} <= set(matched):
    free, learnt = (matched[n]["own second (%)"] for n in ("ma/base", "ma/c"))
    said.append(
        f"The task itself is learnt in part: a second of sound finds its own image in {learnt:.0f} % "
        f"of the kept rows, without the term in {free:.0f} %, where chance gives 10 % and a matcher "
        f"that knows the simulator's style {possible['style matcher, all videos (%)']:.0f} % over "
        "all videos."
    )
    asked = 0.2 * np.log(81)
    said[-1] += (
        f" The mean margin is {matched['ma/c']['margin']:.2f}; the loss asks for {asked:.2f} wherever "
        "the wrong candidates are alike."
    )
if {"ma/base", "ma/c"} <= set(sharpened):
    moved = [
        f"{with_it['distance'] - without['distance']:+.3f} for what is "
        f"{'heard' if with_it['modality'] == 'audio' else 'seen'}"
        for with_it, without in zip(sharpened["ma/c"], sharpened["ma/base"], strict=True)
    ]
    said.append(
        "The distance between annotated and other seconds, which the term is meant to widen, moves "
        f"by {' and '.join(moved)}."
    )
if {"ma/base", "ma/c"} <= set(placed):
    column = "tags: {}"
    moved = [
        f"{kind} {with_it[column.format(kind)] - without[column.format(kind)]:+.1f} "
        f"({with_it['modality']})"
        for with_it, without in zip(placed["ma/c"], placed["ma/base"], strict=True)
        for kind in ("precision", "recall")
    ]
    said.append(
        f"Which classes a video has is another matter: of the tags of whole videos {', '.join(moved)} "
        "points."
    )
if same_videos(*FULL):
    by_tau = {t: study.score(n, MAIN).mean for t, n in zip(TEMPERATURES, FULL, strict=True)}
    best = max(by_tau, key=by_tau.get)
    said.append(
        f"Over the four temperatures the pipeline's Type@AV moves by "
        f"{max(by_tau.values()) - min(by_tau.values()):.1f} points and is highest at {best:g}."
    )
compared_rules = [n for n in RULED if have("gates", n)]
if compared_rules:
    swings = {
        n: ruled(n, "modality", "segment/type_av") - ruled(n, "video", "segment/type_av")
        for n in compared_rules
    }
    said.append(
        "Gating by the modality instead of the video is worth "
        + ", ".join(f"{swing:+.1f} to {title[n]}" for n, swing in swings.items())
        + " (Type@AV, segment level), with not a weight changed."
    )
if {"ma/base", "ma/c"} <= set(compared_rules):
    lost = {
        n: ruled(n, REGISTRY[n].gate, "segment/type_av") - ruled(n, None, "segment/type_av")
        for n in ("ma/base", "ma/c")
    }
    said.append(
        f"Without any gate {title['ma/base']} loses {lost['ma/base']:.1f} points and "
        f"{title['ma/c']} {lost['ma/c']:.1f}: so much of each score rests on the video's "
        "probability, not on the second's."
    )
if have("gates", "han/han", "ma/cr") and same_videos("han/han", "ma/cr"):
    own_rules = study.step("ma/cr", MAIN, to="han/han").measured
    one_rule = ruled("ma/cr", "modality", "segment/type_av") - ruled(
        "han/han", "modality", "segment/type_av"
    )
    said.append(
        f"MA (C+R) differs from HAN by {own_rules:+.1f} when each decides by its own rule and by "
        f"{one_rule:+.1f} when both decide by MA's."
    )
if not said:
    said.append(f"There is nothing to read off yet. MA (C): {drawn['ma/c'].told}.")
takeaways(said)

# %% [markdown]
# A network that is trained on a quarter of the videos, and for a quarter of the steps, is another
# judge of an idea than one that is trained as published. What the runs of both sizes say:

# %% tags=["hide-input"]
scales = [
    told_by_scale(one, other, paper="ma", table="Table 2", metric=MAIN, data=data)
    for one, other in (("ma/c", "ma/base"), ("ma/cr", "ma/r"))
]
Markdown(
    " ".join(filter(None, scales)) or "There are no committed runs of two sizes to compare here."
)

# %% [markdown]
# What to take along:
#
# - The term asks for more than it seems to: smoothing turns the temperature into a margin, and the
#   gradient of one direction reaches the image's front end and the shared attention.
# - Its task can be solved only where sound and image share something from second to second. Whether
#   solving it helps to parse is another question: the features that tell seconds apart are the ones
#   that the classifier has to read. {doc}`18_when_does_each_idea_work` moves how much is shared.
# - A difference between rows of different papers can be a method, a protocol, or a gate.
#
# The claims of the paper about this term, judged by one rule on this book's runs:

# %% tags=["hide-input"]
claims_table("contrastive", profile=profile, data=data)
