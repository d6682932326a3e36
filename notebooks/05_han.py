# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # HAN: attention and multimodal multiple-instance pooling
#
# LLP's training videos say what happens in them, and neither when nor whether it is heard or seen.
# The hybrid attention network, HAN {cite}`han`, was the first answer to that: look around a second,
# in both modalities, before judging it; judge every second of each modality; and combine the
# judgements into one statement about the video, which is all that the label can correct. Every
# later method of this book starts from these three steps or argues with one of them. This chapter
# takes them one at a time, with the code that trains, then holds that code to the released network,
# and ends with what came out of training it.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
from collections import defaultdict

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from matplotlib.figure import Figure

from avvp import Parsing, decode
from avvp import training as protocol
from avvp.cells import agreement, code, show, takeaways
from avvp.data import SimulatorConfig, load
from avvp.data.simulate import PROFILE_SIZES, draw_blocks
from avvp.experiments import REGISTRY, get_profile
from avvp.figures import (
    label_name,
    note,
    pooling_weights,
    scores_by_class,
    timeline,
    training_curves,
    use_style,
)
from avvp.losses import Objective, cross_entropy_of_probabilities, weak_targets
from avvp.metrics import LEVELS, METRICS, MODALITIES, evaluate, evaluate_videos
from avvp.models import build, load_released
from avvp.models.han import HAN, HybridAttentionLayer
from avvp.models.layers import Attention, FrontEnd, MMILPooling, pool_frames
from avvp.models.released import count_elements, released_name
from avvp.parity import names_and_shapes, open_golden, rule_inputs, rule_state
from avvp.published import published
from avvp.results import HOME, estimate, read_arrays
from avvp.tables import Table, provenance_table, result_table, runs_to_draw
from avvp.training import TrainingConfig, seeded

use_style()


# %% [markdown]
# ## The idea
#
# Call every second of every modality an *instance* and the video a *bag* of twenty instances. The
# label of the bag names a class if at least one instance has it. Learning to label instances from
# labels of bags is called multiple-instance learning, and its one lever is the function that turns
# the instances' probabilities into the bag's. Its gradient decides which instances are blamed or
# praised:
#
# - the *maximum* moves one instance a step and leaves the others alone, so it tends to find the
#   most telling second of an event and no more;
# - the *mean* moves all of them alike, so it tells every second of the video that the class is on,
#   whether it is or not;
# - a *weighted mean with learnt weights* lets the network decide, for each class, which seconds and
#   which modality to hold responsible. That is HAN's choice, under the name of attentive
#   multimodal multiple-instance (MMIL) pooling.
#
# An instance also has to be judged. A second of engine noise may be a car or a lawn mower, and the
# image of the same second, or the sound of the next, may tell. So before it is judged each second
# reads the other seconds of its own modality and all seconds of the other: attention within and
# across modalities, hence *hybrid*.
#
# ## Features of one width
#
# A batch of simulated videos accompanies us through the chapter. It has the shapes of LLP's released
# features: a vector of VGGish {cite}`vggish` for each second of sound; one of ResNet-152
# {cite}`resnet` and one of R(2+1)D {cite}`r2plus1d` for each second of image.

# %%
batch = next(load("smoke", "train").batches(batch_size=16))
audio, visual_2d, visual_3d, weak = batch[1:]
for name in ("audio", "visual_2d", "visual_3d", "weak"):
    print(f"{name:10}{tuple(getattr(batch, name).shape)}")

# %% [markdown]
# The network brings them to one width, 512, by one linear layer a stream; a further one fuses the
# two visual streams. Nothing here is more than linear.

# %% tags=["hide-input"]
code(FrontEnd.forward, pool_frames)

# %% [markdown]
# The release keeps eight ResNet vectors a second, projects all eighty of them and then averages.
# The projection is linear, so averaging first must give the same features for an eighth of the
# work, and this repository stores averages. Here is the difference on eighty made-up frames a
# video.

# %%
network = seeded(1, lambda: build("han"))
front_end = network.front_end
frames = torch.randn(16, 80, 2048, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    after = front_end.visual_2d(frames).unflatten(1, (10, 8)).mean(2)
    before = front_end.visual_2d(pool_frames(frames))
    a, v = front_end(audio, visual_2d, visual_3d)
print(
    f"largest difference {(after - before).abs().max():.1e}, among values up to {after.max():.1f}"
)
print(f"features: audio {tuple(a.shape)}, visual {tuple(v.shape)}")

# %% [markdown]
# ## Hybrid attention
#
# Write $f_t^a, f_t^v \in \mathbb{R}^d$ for the features of second $t$ and
# $F^a, F^v \in \mathbb{R}^{T \times d}$ for those of all seconds. The papers define the layer as a
# sum of the feature itself and two read-outs, one from its own modality and one from the other:
#
# $$
# \hat f_t^{\,a} = f_t^a + \phi_{sa}(f_t^a, F^a, F^a) + \phi_{ca}(f_t^a, F^v, F^v) \tag{1}
# $$
#
# $$
# \hat f_t^{\,v} = f_t^v + \phi_{sa}(f_t^v, F^v, F^v) + \phi_{ca}(f_t^v, F^a, F^a) \tag{2}
# $$
#
# where both read-outs are scaled dot-product attention:
#
# $$
# \phi_{sa}(f_t^a, F^a, F^a) = \mathrm{softmax}\!\left(\frac{f_t^a F^{a\top}}{\sqrt d}\right) F^a
# \tag{3}
# $$
#
# $$
# \phi_{ca}(f_t^a, F^v, F^v) = \mathrm{softmax}\!\left(\frac{f_t^a F^{v\top}}{\sqrt d}\right) F^v
# \tag{4}
# $$
#
# (numbered as in MGN {cite}`mgn`; MA {cite}`ma` prints the same). HAN's own paper was not among our
# sources: what this chapter says of its text is what MGN, MA and Cross-Modal learning restate. In
# our copy of MGN two numbered equations of the pooling are lost; its words name weights over time,
# and those over the modalities are the release's. In code, first the attention and then the layer
# around it:

# %% tags=["hide-input"]
code(Attention.forward, HybridAttentionLayer.forward)

# %% [markdown]
# That is more than the formula. The released layer projects queries, keys, values and read-outs,
# normalises twice, and has a feed-forward block and dropout; one layer with one set of weights
# serves both modalities. Each time it reads the features as they left the front end: the visual
# stream attends to $F^a$, not to $\hat F^a$.

# %% tags=["hide-input"]
code(HAN.features)

# %%
network.eval()
with torch.no_grad():
    _, _, a_hat, v_hat, maps = network.features(audio, visual_2d, visual_3d)
print(f"after attention: audio {tuple(a_hat.shape)}, visual {tuple(v_hat.shape)}")
for name, attention in maps.items():
    rows = attention.sum(-1)
    print(f"{name:6} attention {tuple(attention.shape)}, rows sum to {rows.mean():.3f}")

# %% [markdown]
# Two things that the formula leaves open matter later. The first is how much of the network it does
# not mention; the table counts.

# %% tags=["hide-input"]
layer = network.hybrid_attention
pieces = {
    "linear layers to one width, fusion": ([network.front_end], "no"),
    "projections of the two attentions": ([layer.cross_attention, layer.self_attention], "no"),
    "two layer norms": ([layer.norm_attention, layer.norm_feed_forward], "no"),
    "feed-forward block": ([layer.expand, layer.contract], "no"),
    "classifier of a second": ([network.pooling.classifier], "in words"),
    "weights over time": ([network.pooling.time_attention], "in words"),
    "weights over modality": ([network.pooling.modality_attention], "no"),
}
table = pd.DataFrame(
    [
        {"part": name, "in Eqs. 1 to 6": told, "parameters": sum(map(count_elements, states))}
        for name, (modules, told) in pieces.items()
        for states in [[module.state_dict() for module in modules]]
    ]
)
total = sum(p.numel() for p in network.parameters())
assert table["parameters"].sum() == total
table.loc[len(table)] = ["all", "", total]
table["share (%)"] = 100 * table["parameters"] / total
table["parameters"] = table["parameters"].map("{:,}".format)
Markdown(table.to_markdown(index=False, floatfmt=".1f", colalign=("left", "left", *["right"] * 2)))

# %% [markdown]
# The second is time. No part of the network knows where in the video a second stands: there is no
# position code. If the seconds of a video are shuffled, its answers are shuffled with them and are
# otherwise the same. HAN compares seconds, it does not order them.

# %%
order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    parsing = network(audio, visual_2d, visual_3d)
    mixed = network(audio[:, order], visual_2d[:, order], visual_3d[:, order])
difference = (mixed.segment_audio - parsing.segment_audio[:, order]).abs().max()
print(f"largest difference after shuffling: {difference:.1e}")

# %% [markdown]
# ## From seconds to the video
#
# One classifier, shared by both modalities, gives each second its probabilities,
# $p_t^m = \sigma(\hat f_t^{\,m} W_c + b_c)$ for $m \in \{a, v\}$. Two more linear layers of the same
# shape give each second a weight for each class. With $w^{\mathrm{time}}$ a softmax over the ten
# seconds, $w^{\mathrm{mod}}$ a softmax over the two modalities, all per class,
#
# $$
# p^{av} = \sum_{t=1}^{T} \sum_{m \in \{a,v\}} w^{\mathrm{time}}_{t,m} \odot w^{\mathrm{mod}}_{t,m}
# \odot p_t^m, \qquad p^m = \sum_{t=1}^{T} w^{\mathrm{time}}_{t,m} \odot p_t^m. \tag{5}
# $$
#
# $p^{av}$ is the joint probability that the class occurs in the video; $p^a$ and $p^v$ are those of
# the modalities.

# %% tags=["hide-input"]
code(MMILPooling.forward)

# %%
pooled = network.pooling(a_hat, v_hat)
for name, value in pooled._asdict().items():
    print(f"{name:15}{tuple(value.shape)}")

# %% [markdown]
# Equation 5 hides a surprise. $p^a$ and $p^v$ are weighted means, because a softmax over time sums
# to one. $p^{av}$ is not: the two softmaxes are computed independently and multiplied, and nothing
# makes the twenty products sum to one. If, in the second where audio puts its weight over time,
# the weight over modality goes to audio, and in the second where the image puts its own it goes to
# the image, the sum is two. If they miss each other it is zero. The next cell builds a pooling
# layer by hand: every second of both modalities says 0.95, audio looks at second 3 and the image at
# second 7, and only the weights over modality change.

# %%
hand = MMILPooling(width=2)
with torch.no_grad():
    for linear in (hand.classifier, hand.time_attention, hand.modality_attention):
        linear.weight.zero_()
        linear.bias.zero_()
    hand.classifier.bias.fill_(torch.logit(torch.tensor(0.95)))
    hand.time_attention.weight[:, 0] = 20.0
heard, seen = torch.zeros(2, 1, 10, 2)
heard[0, 3, 0] = seen[0, 7, 0] = 1  # where each modality looks
heard[0, 3, 1] = seen[0, 7, 1] = 1  # by which the weight over modality may be set
heard[0, 7, 1] = seen[0, 3, 1] = -1
rows = []
for name, slope in (("follow the weights over time", 20.0), ("equal", 0.0), ("avoid them", -20.0)):
    with torch.no_grad():
        hand.modality_attention.weight[:, 1] = slope
    pooled = hand(heard, seen)
    hand.zero_grad()
    cross_entropy_of_probabilities(pooled.video, torch.zeros(1, 25)).backward()
    rows.append(
        {
            "weights over modality": name,
            "sum of the products": (pooled.over_time * pooled.over_modality)
            .sum((1, 2))[0, 0]
            .item(),
            "p audio": pooled.audio[0, 0].item(),
            "p visual": pooled.visual[0, 0].item(),
            "p joint": pooled.video[0, 0].item(),
            "gradient of the joint term": hand.classifier.bias.grad.norm().item(),
        }
    )
show(pd.DataFrame(rows), ".3f")

# %% [markdown]
# So the joint "probability" can exceed one. Before the logarithm of the loss it is clamped to just
# inside $[0, 1]$, and a clamp has no slope outside its bounds. In the first row the label says that
# the class is absent; the network could not be more wrong, and the joint term teaches it nothing.
# The last column is zero there. (It is zero in the last row too, where the joint probability is
# right for no good reason.) The other two terms of the loss, over $p^a$ and $p^v$, still pull.
#
# A smaller curiosity: the two attention layers have biases, and softmax cancels them. A number
# added for a class to all seconds, or to both modalities, changes nothing, so they never learn.

# %%
with torch.no_grad():
    for linear in (network.pooling.time_attention, network.pooling.modality_attention):
        linear.bias += torch.randn(25, generator=torch.Generator().manual_seed(0))
    shifted = network(audio, visual_2d, visual_3d)
print(f"largest difference with other biases: {(shifted.video - parsing.video).abs().max():.1e}")

# %% [markdown]
# ## The loss
#
# With $O(y, p)$ the binary cross-entropy, here averaged over classes and batch as in the release,
#
# $$
# \mathcal{L}_{base} = O(y, p^{av}) + O(\tilde y^a, p^a) + O(\tilde y^v, p^v). \tag{6}
# $$
#
# The label says what happens, not in which modality, and is used for both all the same. To make up
# for some of that the target of a modality may be smoothed,
# $\tilde y = (1 - \epsilon)\, y + \epsilon / 2$. The papers that we had leave open which $\epsilon$; the release
# smooths the visual target alone, with $\epsilon = 0.1$.

# %% tags=["hide-input"]
code(weak_targets, cross_entropy_of_probabilities, Objective.__call__)

# %%
targets = weak_targets(weak)
for name, target in targets._asdict().items():
    print(
        f"{name:7}{tuple(target.shape)}, values {[round(x, 3) for x in target.unique().tolist()]}"
    )
total, parts = Objective()(parsing, targets)
perfect = Parsing(*targets, parsing.segment_audio, parsing.segment_visual, {})
_, least = Objective()(perfect, targets)
show(
    pd.DataFrame(
        [
            {
                "term": name,
                "untrained network": parts[name].item(),
                "least possible": least[name].item(),
            }
            for name in parts
        ]
    ),
    ".4f",
)

# %% [markdown]
# The smoothed term cannot reach zero: its least value is the entropy of a coin that falls on one
# side nineteen times in twenty. The training curves below show that floor. At one half, where
# decisions are made, smoothing changes nothing in the optimum: a class that is present with
# probability $q$ has the expected target $(1-\epsilon)\,q + \epsilon/2$, which is at least one half
# exactly when $q$ is. It only tells the visual stream never to be too sure.
#
# ## The protocol
#
# A step of training is the one of every method in this book:

# %% tags=["hide-input"]
code(protocol.train_step)

# %% [markdown]
# The optimiser is Adam with its defaults, the batch has 16 videos, and the learning rate drops
# three times. After each epoch the network parses the validation videos; the epoch with the highest
# Type@AV at segment level is kept, of equal ones the later. The table shows the released schedule
# and, where this build trains, its own, with the drops moved in proportion.

# %% tags=["hide-input"]
here = get_profile(profile)
schedules = {"as released": REGISTRY["han/han"].training}
if here.seeds:
    schedules[f"profile {here.name}"] = REGISTRY["han/han"].at(here).training


def schedule(config: TrainingConfig) -> list[tuple[str, str]]:
    epochs = defaultdict(list)
    for epoch in range(1, config.epochs + 1):
        epochs[config.learning_rate_at(epoch)].append(epoch)
    return [
        (f"{span[0]} to {span[-1]}", f"{rate:.0e}".replace("e-0", "e-"))
        for rate, span in epochs.items()
    ]


Markdown(
    pd.DataFrame(
        [
            {"schedule": name, "epochs": span, "learning rate": rate}
            for name, config in schedules.items()
            for span, rate in schedule(config)
        ]
    ).to_markdown(index=False, disable_numparse=True)
)

# %% [markdown]
# ## Held to the release
#
# Is this the network that the authors released? Their code was run, on weights and inputs that
# follow from a rule anybody can repeat, and its numbers are committed with this repository
# (`tests/parity/golden/han.npz`). The next cell loads the same weights under their released names
# into our network, feeds it the same inputs, and compares: four outputs, the loss and its terms,
# and the gradient of every parameter.

# %%
archive, about = open_golden(HOME / "tests" / "parity" / "golden", "han.npz")
state = rule_state(names_and_shapes(archive), about["norm_weight_names"])
released = load_released("han", state)
*inputs, labels = rule_inputs()
parsed = released(*inputs)
loss, terms = Objective()(parsed, weak_targets(labels))
loss.backward()

# %% tags=["hide-input"]
tolerance = {"output": 5e-6, "loss": 1e-5, "gradient": 1e-4, "zero gradient": 1e-6}


def largest(ours: torch.Tensor, key: str) -> float:
    return float(np.abs(ours.detach().numpy() - archive[key]).max())


segments = torch.stack([parsed.segment_audio, parsed.segment_visual], dim=2)
wanted = dict(zip(archive["grad_names"].tolist(), archive["grad_norms"].tolist(), strict=True))
zero = set(archive["zero_grad_names"].tolist())
norms = {released_name("han", n): p.grad.norm().item() for n, p in released.named_parameters()}
assert set(norms) == set(wanted)
relative = max(abs(norms[n] - wanted[n]) / wanted[n] for n in set(wanted) - zero)
absolute = max(abs(norms[n] - wanted[n]) for n in zero)
three_terms = torch.stack([terms[name] for name in ("audio", "visual", "video")])
compared = [
    ("joint probability", largest(parsed.video, "global_prob"), "output"),
    ("audio probability", largest(parsed.audio, "a_prob"), "output"),
    ("visual probability", largest(parsed.visual, "v_prob"), "output"),
    ("probabilities of segments", largest(segments, "frame_prob"), "output"),
    ("loss", largest(loss, "loss"), "loss"),
    ("its three terms", largest(three_terms, "loss_parts"), "loss"),
    (f"norms of {len(wanted) - len(zero)} gradients, relative", relative, "gradient"),
    (f"norms of {len(zero)} gradients that are zero", absolute, "zero gradient"),
]
agreement([(what, found, tolerance[kind]) for what, found, kind in compared])

# %% [markdown]
# The gradients that are zero belong to the two biases from above. The tests of this repository also
# follow five steps of Adam, and check dropout, schedule and selection, which these numbers do not
# see.
#
# ### The half that is never used
#
# A released checkpoint holds more than the network above. The released code also builds encoders of
# single modalities and a cross-modal one, and saves their weights; its forward pass calls none of
# them. They get no gradient, so in a checkpoint they are what they were at initialisation.
# `load_released` drops nothing in silence: it lists what it has no use for.

# %% tags=["hide-input"]
elements = {name: count_elements(state, (name,)) for name in state}
unused = defaultdict(list)
for name in released.unused_released:
    unused[name.split(".")[0] + (".norm1, .norm2" if ".layers." not in name else "")].append(name)
everything, never = count_elements(state), count_elements(state, released.unused_released)
lines = [
    *(
        (f"`{module}`", len(names), sum(map(elements.get, names)))
        for module, names in unused.items()
    ),
    ("all that is never used", len(released.unused_released), never),
    ("used", len(state) - len(released.unused_released), everything - never),
    ("whole checkpoint", len(state), everything),
]
Table(
    pd.DataFrame(
        [
            {
                "module of the release": name,
                "entries": entries,
                "elements": f"{size:,}",
                "MB": f"{4 * size / 1e6:.1f}",
                "MiB": f"{4 * size / 2**20:.1f}",
                "share (%)": f"{100 * size / everything:.1f}",
            }
            for name, entries, size in lines
        ]
    ).to_markdown(index=False, disable_numparse=True, colalign=("left", *["right"] * 5))
)

# %% [markdown]
# By name:

# %% tags=["hide-input", "hide-output"]
print("\n".join(released.unused_released))

# %% tags=["hide-input"]
printed = published("mgn_supp", "Table 1", "HAN")["model_size"]
other = published("mgn", "text", "MGN")["model_size"]
mib = [4 * size / 2**20 for size in (everything, everything - never)]
Markdown(
    f"MGN's papers give HAN's size as {printed:.0f} MB. The whole checkpoint has "
    f"{4 * everything / 1e6:.1f} million bytes, or {mib[0]:.1f} MiB: rounded, that is the printed "
    f"number, and {100 * never / everything:.0f} % of it is never used. What computes takes "
    f"{mib[1]:.1f} MiB. The same papers give MGN {other:.0f} MB and call that "
    f"{100 * other / printed:.0f} % of the baseline. Beside the part of HAN that does anything it "
    "is nearly as large; {doc}`13_depth_and_size` counts both exactly."
)

# %% [markdown]
# ## Training
#
# From here on the numbers come from runs: trained networks, scored on a test split. The next cell
# says which ones the figures show. If none is there yet, it names the command that makes one.

# %% tags=["hide-input"]
NAMES = ("han/han", "reference/linear", "reference/oracle")
drawn = {name: runs_to_draw(name, profile=profile, data=data) for name in NAMES}
han = drawn["han/han"]
arrays = [read_arrays(path) for path in han.paths]
Markdown(
    "\n".join(f"- **{REGISTRY[name].label}**: {chosen.told}." for name, chosen in drawn.items())
)

# %% [markdown]
# {numref}`fig-han-training` shows the three terms of the loss and the validation score behind the
# choice of the epoch.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-han-training", "caption": "HAN in training: the three terms of the loss on training videos, and Type@AV at segment level on validation videos, by epoch, a line a seed. The title names the runs; simulated LLP means that features, and so all scores, are simulated."}, "image": {"alt": "Two panels above each other over the epochs. Above, the joint, the audio and the visual term of the training loss, with a thin horizontal line at the least value that the smoothed visual term can take. Below, the validation Type@AV of each seed with a ring around the epoch that was kept. Dotted vertical lines mark where the learning rate drops."}}
if han.runs:
    histories = [
        {key.removeprefix("history/"): run[key] for key in run if key.startswith("history/")}
        for run in arrays
    ]
    kept = [int(run["selected_epoch"]) for run in arrays]
    _ = training_curves(
        histories, kept, floors={"visual": least["visual"].item()}, title=f"HAN: {han.told}"
    )
else:
    _ = note(f"HAN: {han.told}")

# %% tags=["hide-input"]
if han.runs:
    table = pd.DataFrame(
        [
            {
                "seed": run.seed,
                "epochs": len(history["epoch"]),
                "epoch kept": epoch,
                "validation Type@AV": history["val/segment/type_av"][epoch - 1],
                "lowest after that": history["val/segment/type_av"][epoch - 1 :].min(),
                "at the end": history["val/segment/type_av"][-1],
                "test Type@AV": run.metrics["segment/type_av"],
                "seconds": run.seconds,
            }
            for run, history, epoch in zip(han.runs, histories, kept, strict=True)
        ]
    )
    told = show(table).data
else:
    told = f"HAN: {han.told}"
Markdown(told)

# %% [markdown]
# The columns of validation tell what selection is worth. Where the score falls after the kept epoch
# and recovers at a dotted line, the learning rate was too high for the weights to settle, and its
# first drop mends that. The kept epoch is the best of many looks at the same videos, so its
# validation score flatters; the test score took no part in the choice.
#
# ## Results
#
# The tables set the printed row beside runs. Two reference rows stand below HAN, both without a
# printed counterpart. The linear one judges every second by itself, with one linear layer a
# modality, and takes means as probabilities of the video, with HAN's loss and protocol. What HAN has
# over it is what attention, the layers around it and learnt pooling earn together. The oracle
# decoder knows how the simulator draws features from labels, learns nothing, and shows how much
# there is to find.

# %% tags=["hide-input"]
gates = {
    "video": "each second's decision is gated by the joint probability of the video",
    "modality": "each second's decision is gated by the probability of its modality",
    None: "no gate",
}
Markdown(
    "\n".join(f"- **{REGISTRY[name].label}**: {gates[REGISTRY[name].gate]}." for name in NAMES)
)

# %% tags=["hide-input"]
place = {"paper": "mgn", "table": "Table 1", "profile": profile, "data": data}
result_table(NAMES, level="segment", **place)

# %% tags=["hide-input"]
result_table(NAMES, level="event", **place)

# %% tags=["hide-input"]
provenance_table(NAMES, profile=profile, data=data)

# %% [markdown]
# ### Class by class
#
# The ten numbers average over the classes of a video, then over videos, and hide the classes
# themselves. {numref}`fig-han-classes` scores each class once over the whole test split: true
# positives, false positives and false negatives of all videos together, at segment level. A class
# that fills few seconds counts as much here as Speech.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-han-classes", "caption": "HAN's F-score of each class over all test videos, at segment level, for what is heard and what is seen; dots are means over seeds, bars reach from the lowest seed to the highest. Sorted by the audio score. The title names the runs; on simulated LLP all scores are simulated."}, "image": {"alt": "Dot plot of the 25 classes, sorted by the F-score of what is heard, in per cent on the horizontal axis. Each class has a round dot for audio and a square one for visual, the latter often at another place in the order."}}
if han.runs:
    counted = torch.tensor([run.counts[0][:2] for run in han.runs]).double()  # (S, 2, C, 3)
    units = (counted * torch.tensor([2.0, 1.0, 1.0])).sum(-1)
    by_class = 100 * torch.where(units > 0, 2 * counted[..., 0] / units, torch.nan)  # (S, 2, C)
    _ = scores_by_class(
        dict(zip(MODALITIES, by_class.unbind(1), strict=False)),
        xlabel="F-score at segment level (%)",
        title=f"HAN: {han.told}",
    )
else:
    _ = note(f"HAN: {han.told}")


# %% tags=["hide-input"]
def extremes(modality: int) -> str:
    mean = by_class[:, modality].mean(0)
    known = [c for c in mean.argsort(stable=True).tolist() if not mean[c].isnan()]
    last, first = (
        [f"{label_name(c)} ({mean[c]:.0f})" for c in cs] for cs in (known[:3], known[:-4:-1])
    )
    return f"best {', '.join(first)}; worst {', '.join(reversed(last))}"


apart = f"HAN: {han.told}"
if han.runs:
    gap = (by_class[:, 0] - by_class[:, 1]).mean(0)
    widest = gap.abs().nan_to_num(-1).argmax().item()
    apart = (
        f"What is heard: {extremes(0)}. What is seen: {extremes(1)}. The modalities are furthest "
        f"apart on {label_name(widest)}: {abs(gap[widest]):.0f} points better "
        f"{'heard' if gap[widest] > 0 else 'seen'} than {'seen' if gap[widest] > 0 else 'heard'} "
        f"({han.told})."
    )
Markdown(apart)

# %% [markdown]
# ### Two videos
#
# Of every run a few test videos are kept, chosen by their annotations alone: those in which the
# most classes begin or end inside the clip. Of these, the next two figures show the one that HAN's
# first seed parses best and the one that it parses worst, by Type@AV at segment level, with the
# linear row for comparison.


# %% tags=["hide-input"]
def timelines(run: dict[str, np.ndarray]) -> tuple[Parsing, tuple[torch.Tensor, torch.Tensor]]:
    """The kept videos of a run: probabilities and truth."""
    kept = {name: torch.from_numpy(run[f"timelines/{name}"]) for name in Parsing._fields[:5]}
    truth = tuple(torch.from_numpy(run[f"timelines/true_{m}"]) for m in MODALITIES[:2])
    return Parsing(*(value.float() for value in kept.values()), {}), truth


def decided(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    parsing, _ = timelines(read_arrays(drawn[name].paths[0]))
    return decode(parsing, gate=REGISTRY[name].gate)


def comparable(name: str) -> bool:
    """Whether the runs shown of an experiment saw the same videos as those of HAN."""
    return {run.data_fingerprint for run in drawn[name].runs} == {han.runs[0].data_fingerprint}


def draw(row: int) -> Figure:
    systems = {}
    for name, title in (("han/han", "HAN"), ("reference/linear", "linear")):
        if comparable(name):
            systems[title] = tuple(mask[row] for mask in decided(name))
    return timeline(
        tuple(mask[row] for mask in truth),
        systems,
        truth_name="annotation",
        title=f"{ids[row]}, {score[row]:.0f} % ({han.told.partition(',')[0]})",
    )


if han.runs:
    _, truth = timelines(arrays[0])
    ids = arrays[0]["timelines/ids"].tolist()
    scored = evaluate_videos(*decided("han/han"), *truth).per_video
    score = scored[:, METRICS.index("segment/type_av")]
    ranked = score.argsort(stable=True).tolist()
    summary = f"Type@AV of the {len(ids)} kept videos: {', '.join(f'{s:.0f}' for s in score)} %."
else:
    summary = f"HAN: {han.told}"
Markdown(summary)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-han-best", "caption": "The kept test video that HAN parses best: annotation, HAN and the linear reference row. The title names the video and whether it is simulated; a name that begins with sim is."}, "image": {"alt": "Timeline of ten seconds. For each class that is annotated or predicted in the sound or in the image, rows show the annotated seconds, those that HAN marks and those that the linear model marks; filled where they agree with the annotation, hatched where nothing is annotated."}}
_ = draw(ranked[-1]) if han.runs else note(f"HAN: {han.told}")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-han-worst", "caption": "The kept test video that HAN parses worst, drawn alike. A video whose name begins with sim is simulated."}, "image": {"alt": "Timeline of ten seconds of another video, with rows for the annotated seconds of each class, those that HAN marks and those that the linear model marks."}}
_ = draw(ranked[0]) if han.runs else note(f"HAN: {han.told}")

# %% [markdown]
# ## What the weights look at
#
# The weights of MMIL pooling are often read as localisation: a second with much weight would be one
# where the class is on. Equation 5 does not say so. The weight is there to make the video's
# probability come out right, and for a class that is present any one of its seconds will do. A class
# that is on all the time needs no weights at all. {numref}`fig-han-weights` shows the weights of
# the two videos above for the classes that occur in them. If weights were localisation, bright
# cells on the left would stand under the bars and dark ones elsewhere.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-han-weights", "caption": "Weights of MMIL pooling in the two videos above: over time, where each row sums to 1 (left), and over modality, where the two rows of a class sum to 1 in each second (right). Bars over the cells mark the seconds that are annotated in that modality. A video whose name begins with sim is simulated."}, "image": {"alt": "Heat maps, two a video. Each row is one class of the video as heard or as seen, each column one second. The left maps show the weight over time, the right ones the weight of the modality; coloured bars above the cells show when the class is annotated in that modality."}}
if han.runs:
    over_time, over_modality = (
        torch.stack(
            [torch.from_numpy(run[f"timelines/attention_over_{k}"]).float() for run in arrays]
        )
        for k in ("time", "modality")
    )  # (S, K, T, 2, C) each
    _ = pooling_weights(
        [
            (ids[row], tuple(m[row] for m in truth), over_time[0, row], over_modality[0, row])
            for row in (ranked[-1], ranked[0])
        ],
        title=f"HAN, seed {han.runs[0].seed}: {han.told.partition(',')[0]}",
    )
else:
    _ = note(f"HAN: {han.told}")

# %% [markdown]
# Two videos prove nothing, so here are the means over all kept videos and seeds. Over time only
# those pairs of class and modality count that are annotated in some seconds and not in others;
# without any preference each second would get a tenth. Over modality all classes of a video count;
# without any preference audio would get one half.

# %% tags=["hide-input"]
if han.runs:
    true = torch.stack(truth, dim=1).permute(0, 3, 1, 2)  # (K, T, 2, C)
    partly = (true.any(1) & ~true.all(1))[:, None].expand_as(true)
    occurs = true.any(dim=(1, 2))[:, None].expand(-1, 10, -1)  # (K, T, C)
    heard, seen = true.unbind(2)
    looks = [
        {
            "weight": f"over time, {name}",
            "seconds": f"{kind} ({int(mask[:, :, m].sum())})",
            "mean weight": over_time[:, :, :, m][:, mask[:, :, m]].mean().item(),
            "without preference": 0.1,
        }
        for m, name in enumerate(("audio", "visual"))
        for kind, mask in (("annotated", partly & true), ("not annotated", partly & ~true))
    ] + [
        {
            "weight": "over modality, audio",
            "seconds": f"{kind} ({int(mask.sum())})",
            "mean weight": over_modality[:, :, :, 0][:, mask].mean().item(),
            "without preference": 0.5,
        }
        for kind, mask in (
            ("heard only", occurs & heard & ~seen),
            ("seen only", occurs & seen & ~heard),
            ("heard and seen", occurs & heard & seen),
            ("neither, but in the video", occurs & ~heard & ~seen),
        )
    ]
    told = show(pd.DataFrame(looks), ".3f", on=han.told).data
else:
    told = f"HAN: {han.told}"
Markdown(told)

# %% [markdown]
# The same weights answer how far the joint probability strays from being a mean. The next cell adds up
# the products of Equation 5 for each video and class.

# %% tags=["hide-input"]
if han.runs:
    sums = (over_time * over_modality).sum(dim=(2, 3))  # (S, K, C)
    joint = torch.stack([timelines(run)[0].video for run in arrays])
    there = true.any(dim=(1, 2)).expand_as(sums)
    told = show(
        pd.DataFrame(
            [
                {
                    "class": name,
                    "pairs of video and class": int(mask.sum()),
                    "least sum": sums[mask].min().item(),
                    "mean sum": sums[mask].mean().item(),
                    "largest sum": sums[mask].max().item(),
                    "joint probability above 1 (%)": 100 * (joint[mask] > 1).double().mean().item(),
                }
                for name, mask in (("in the video", there), ("not in the video", ~there))
            ]
        ),
        ".2f",
        on=han.told,
    ).data
else:
    told = f"HAN: {han.told}"
Markdown(told)

# %% [markdown]
# ## What to make of it
#
# Part of the answer is in the numbers, and part of it is in what they are compared with. So the
# next cell adds one more line: the weak label of each test video, marked in all seconds of both
# modalities, on the test split of the runs where that is simulated. It is what a perfect tagger
# without any sense of time and modality would score; on the real annotations the chapter on scoring
# found it above every printed result in Type@AV.


# %% tags=["hide-input"]
def kept_videos(run: dict[str, np.ndarray]) -> Parsing:
    return timelines(run)[0]


def mean(name: str, key: str) -> float:
    return estimate([run.metrics[key] for run in drawn[name].runs]).mean


said = []
if han.runs:
    kinds = [f"{level}/type_av" for level in LEVELS]
    mine = [mean("han/han", key) for key in kinds]
    simulated = han.runs[0].data == "sim"
    said.append(
        f"On {han.told}, HAN reaches {mine[0]:.1f} Type@AV at segment level and {mine[1]:.1f} at "
        "event level."
    )
    if comparable("reference/linear"):
        linear = [mean("reference/linear", key) for key in kinds]
        said.append(
            f"The linear row has {linear[0]:.1f} and {linear[1]:.1f}: the features give that much "
            "away by themselves. Attention, the layers around it and learnt pooling are together "
            f"worth {mine[0] - linear[0]:+.1f} and {mine[1] - linear[1]:+.1f} points."
        )
    if comparable("reference/oracle"):
        top = [mean("reference/oracle", key) for key in kinds]
        said.append(
            f"The oracle has {top[0]:.1f} and {top[1]:.1f}, so {top[0] - mine[0]:.1f} and "
            f"{top[1] - mine[1]:.1f} points lie between HAN and somebody who knows the simulator."
        )
    if simulated:
        config = SimulatorConfig(**PROFILE_SIZES[han.runs[0].profile])
        blocks = list(draw_blocks(config, "test"))
        tags, heard_at, seen_at = (torch.cat([b[i] for b in blocks]) for i in (1, 2, 3))
        everywhere = tags[..., None].expand_as(heard_at)
        line = evaluate(everywhere, everywhere, heard_at, seen_at)
        said.append(
            f"The weak label everywhere scores {line[kinds[0]]:.1f} and {line[kinds[1]]:.1f} on this "
            "split; to HAN, which has to find the labels, that is a difference of "
            f"{mine[0] - line[kinds[0]]:+.1f} and {mine[1] - line[kinds[1]]:+.1f} points."
        )
    on, off = (np.mean([look["mean weight"] for look in looks[k:4:2]]) for k in (0, 1))
    said.append(
        "Where a class is on for a part of the video, its annotated seconds get "
        f"{on / off:.2f} times the weight over time of the others. Audio's share of the weight over "
        f"modality is {looks[4]['mean weight']:.2f} where a class is only heard and "
        f"{looks[5]['mean weight']:.2f} where it is only seen."
    )
    joint, heard = (
        torch.stack([getattr(p, key) for p in map(kept_videos, arrays)])[there]
        for key in ("video", "audio")
    )
    other_gate = ((joint >= 0.5) != (heard >= 0.5)).sum().item()
    said.append(
        f"Of the {len(joint):,} pairs of a kept video and a class in it, all seeds together, the joint "
        f"probability differs from the audio probability by {(joint - heard).abs().mean():.3f} on "
        f"average, and in {other_gate or 'none'} the two lie on different sides of one half."
    )
    if min(look["mean weight"] for look in looks[4:]) > 0.9:
        said[-1] += (
            " So the weight over modality has all but settled on audio, wherever the class is: the "
            "joint probability is the audio probability under another name, and with it the gate "
            "of every decision, also about the image. The loss invites that. The joint and the "
            "audio term have the same hard target, which a visual stream that is trained towards "
            f"{targets.visual.max():.2f} and {targets.visual.min():.2f} would only blur."
        )
else:
    said.append(f"There is nothing to read off yet. HAN: {han.told}.")
takeaways(said)

# %% [markdown]
# What to take along to the next chapters:
#
# - The label of the video supervises three numbers a class, and the decisions of the seconds come
#   for free. Nothing in the loss asks a second to be right.
# - Both modalities are given the label of the video, although a class is often only heard. MA
#   refines that label; the visual smoothing of HAN is a first, blunt remedy.
# - Attention mixes the modalities before they are judged, which helps where they agree and
#   blurs which of the two it was. MGN sorts each modality by class before it mixes them.
#   Cross-Modal learning carries the unmixed features past the mixing, and trains against a critic
#   that tries to tell the modalities apart.
# - The joint "probability" is no mean and can exceed 1, and half of the released checkpoint is idle. Both are
#   worth remembering when thresholds and sizes of methods are compared.
