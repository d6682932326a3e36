# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Significance
#
# Papers on LLP print one number a row. Whether a method is better than another is read off two of
# them, and many differences are a point or less. None of the documents that we had (MA, Cross-Modal
# learning, MGN, its abstract and its supplement) says how many runs are behind a number, or how far
# they were apart. This chapter asks what a difference has to
# reach before it means something, with the test split that everybody uses, and puts the papers'
# claims on that scale.

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

from avvp.cells import code, listed, show, show_text
from avvp.claims import bootstrap_interval, judge, read_claims
from avvp.data import SimulatorConfig
from avvp.data.annotations import AnnotatedSplit
from avvp.data.simulate import PROFILE_SIZES, draw_blocks
from avvp.experiments import REGISTRY
from avvp.figures import note, use_style
from avvp.figures.significance import claims_on_scale
from avvp.metrics import METRICS
from avvp.reference_lines import COMPARED, LINES, read_lines, spread_of_differences
from avvp.significance import Chance, open_chance, read_scores, typical_variance
from avvp.tables import COMMITTED, KINDS

use_style()
place = {"profile": profile, "data": data}
TYPE_AV = METRICS.index("segment/type_av")


def titled(metric: str) -> str:
    level, kind = metric.split("/")
    return f"{KINDS[kind]}, {level}"


# %% [markdown]
# ## Two sources of chance
#
# Train a method again with another seed, and its score moves: by $s$, say. Take other test videos,
# and it moves too. When two methods parse the same videos, only the difference of their scores on a
# video counts, so a video that is hard for both does no harm. Let $a$ be the spread of these
# differences over videos, if each method were averaged over very many seeds, and $b$ what a single
# seed of each adds to it. Then the difference of two methods with $n$ seeds each, on $N$ videos, has
# the standard error
#
# $$
# SE^2 = \frac{2 s^2}{n} + \frac{1}{N}\Big(a^2 + \frac{b^2}{n}\Big).
# $$
#
# That is the rule by which {doc}`14_claim_by_claim` judges claims, with the spread over videos taken
# apart, so that one can ask what other numbers of seeds would give. There each pair has its own $s$;
# here it is that of a typical method. The rule is cautious: $s$ was measured on these videos, so it
# holds the share of $b$ already that does not average out over them, and the last term counts it
# again. A cell below says how much wider that makes the interval.

# %% tags=["hide-input"]
code(Chance.error, typical_variance)

# %% tags=["hide-input"]
claims = [claim for claim in read_claims() if claim.kind == "score"]
pairs = [(claim.better, claim.worse) for claim in claims]
told, chance = open_chance(pairs, **place)
Markdown(
    told
    if chance is None
    else f"Measured on {told}. $s$ is the median of these experiments, corrected for the few seeds of "
    f"each (as sure as {chance.freedom:.0f} degrees of freedom), $a$ and $b$ are medians over those "
    f"{chance.pairs} pairs of methods, of the ones that the papers compare, that have two seeds a "
    f"side, and $N$ is {chance.videos:,}."
)

# %% tags=["hide-input"]
rows = []
if chance:
    whole, by_seed = chance.error(1), chance.error(1, videos=math.inf)
    by_video = (whole**2 - by_seed**2) ** 0.5
    apart = np.array(list(chance.seed_by_experiment.values()))
    rows = [
        {
            "metric": titled(metric),
            "s": chance.seed[i],
            "s, least to most": f"{apart[:, i].min():.1f} to {apart[:, i].max():.1f}",
            "a": chance.video[i],
            "a, least to most": f"{chance.least_video[i]:.0f} to {chance.most_video[i]:.0f}",
            "b": chance.video_of_seed[i],
            "SE by seeds, n = 1": by_seed[i],
            "SE by videos, n = 1": by_video[i],
            "SE, n = 1": whole[i],
        }
        for i, metric in enumerate(METRICS)
    ]
show(rows) if rows else Markdown(told)

# %% tags=["hide-input"]
said = told
if chance:
    # What b adds is in s already.
    once = by_seed**2 + chance.video**2 / chance.videos
    share = 100 * by_seed**2 / once
    wider = 100 * (whole / once**0.5 - 1)
    single = np.hypot(chance.video, chance.video_of_seed)
    said = (
        f"With one training a side, the seeds make up {share.min():.0f} to {share.max():.0f} % of the "
        "variance of a difference, if what they do to single videos is counted once; the rule, which "
        f"counts it twice, is {wider.min():.0f} to {wider.max():.0f} % wider than it would have to be. In Type@AV at segment level a score moves by "
        f"{chance.seed[TYPE_AV]:.1f} points from seed to seed, and the standard error of a difference "
        f"is {whole[TYPE_AV]:.1f} points. One video says little: there two trainings scatter by "
        f"{single[TYPE_AV]:.0f} points around their mean difference."
    )
Markdown(said)

# %% [markdown]
# Why a median? The usual estimate pools the variances of all experiments, which is right only if all
# are equally steady.

# %% tags=["hide-input"]
said = told
if chance:
    least_steady = sorted(
        chance.seed_by_experiment, key=lambda name: -chance.seed_by_experiment[name][TYPE_AV]
    )[:2]
    moves = [f"{chance.seed_by_experiment[name][TYPE_AV]:.1f}" for name in least_steady]
    said = (
        f"In Type@AV at segment level the least steady are "
        f"{listed([f'*{REGISTRY[name].title}*' for name in least_steady])}, which move by {listed(moves)} "
        f"points. Pooled, $s$ would be {chance.pooled_seed[TYPE_AV]:.1f} instead of "
        f"{chance.seed[TYPE_AV]:.1f}, and the scale for all methods would be that of the least steady. "
        "What such a method claims takes more seeds than the following tables say."
        + " Of hard assignment, {doc}`12_ablations` looks at what each seed loses."
        * any(name.startswith("mgn/hard") for name in least_steady)
    )
Markdown(said)

# %% [markdown]
# ## The smallest detectable difference
#
# Call a difference detectable if an experiment of that kind would find it four times in five: the
# 95 % interval leaves out zero with a probability of 80 %. That takes
#
# $$
# D_{\min} = (t_{0.975} + t_{0.8})\, SE \approx 2.8\, SE ,
# $$
#
# with the quantiles of Student's distribution at the degrees of freedom that $s$ was measured with.
# This is optimistic: whoever has few runs must also estimate $s$ from just these.

# %% tags=["hide-input"]
code(Chance.detectable)

# %% [markdown]
# The last two columns are limits. With ever more seeds the choice of the test videos remains; and if
# one only asks about these very videos, that term falls away and the seeds remain.

# %% tags=["hide-input"]
SEEDS = (1, 3, 5)
rows = []
if chance:
    columns = {f"{n} seed{'s' * (n > 1)} each": chance.detectable(n) for n in SEEDS}
    columns["any number"] = chance.detectable(math.inf)
    columns["5 seeds, these videos only"] = chance.detectable(5, videos=math.inf)
    rows = [
        {"metric": titled(metric)} | {name: values[i] for name, values in columns.items()}
        for i, metric in enumerate(METRICS)
    ]
show(rows) if rows else Markdown(told)

# %% [markdown]
# {numref}`fig-claims-on-scale` sets the differences that the papers claim on that scale: every claim
# about a score with a printed size, in its own metric.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-claims-on-scale", "caption": "What the papers claim against what can be told from chance on the 1,200 test videos. A marker is a claimed difference of two printed scores, measured on LLP. The bands end at the smallest difference that one, three and five seeds of each method would detect; their spread was measured on the runs that the title names, and on simulated LLP it is simulated."}, "image": {"alt": "Ten rows, one a metric, with a horizontal axis in points. In every row three grey bands end at numbered ticks, for five, three and one seed. Claimed differences are markers in the shape and colour of their paper. Many lie within the bands, most of all in the dark one next to zero; the largest, of visual and audio-visual scores, lie beyond all bands."}}
sized = [claim for claim in claims if claim.claimed]
detectable = chance and {
    n: dict(zip(METRICS, chance.detectable(n).tolist(), strict=True)) for n in SEEDS
}
_ = claims_on_scale(sized, detectable, title=told) if chance else note(told)

# %% tags=["hide-input"]
said = told
if chance:

    def beyond(least: np.ndarray) -> list:
        return [c for c in sized if c.claimed > least[METRICS.index(c.metric)]]

    counts = [f"{len(beyond(chance.detectable(n)))} with {n}" for n in SEEDS]
    margin = chance.margin(1)
    reach = sum(c.claimed > margin[METRICS.index(c.metric)] for c in sized)
    floor = len(sized) - len(beyond(chance.detectable(math.inf)))
    type_av = [c.claimed for c in sized if c.metric == "segment/type_av"]
    least = [chance.detectable(n)[TYPE_AV] for n in SEEDS]
    said = (
        f"Of {len(sized)} claimed differences, these are large enough to be detected: "
        f"{listed(counts)} seeds of each method. {floor} are smaller than what any number of seeds "
        "would detect on so many videos. Had each row been one run of this kind, the 95 % interval "
        f"of {len(sized) - reach} of the differences would contain zero. In Type@AV at segment level the claims are of "
        f"{min(type_av):.1f} to {max(type_av):.1f} points (median {np.median(type_av):.1f}), and it "
        f"takes {least[0]:.1f}, {least[1]:.1f} or {least[2]:.1f} with one, three or five seeds."
    )
Markdown(said)

# %% [markdown]
# That a claim lies inside a band does not make it wrong. It says that a pair of runs is no test of
# it: if the difference is real, one pair in five or more would miss it. Where several metrics move together, or several papers find the same, there is
# more to go by than a single difference. But metrics of one table are scored on the same videos with
# the same seeds, and their errors move together as well.
#
# ## A second opinion: the bootstrap
#
# The term for the videos assumes that a mean over 1,200 videos is normally distributed. The paired
# bootstrap does not: it draws the videos anew, with replacement, and looks at the differences that
# come out. Half of its 95 % interval should be $1.96\, s_d / \sqrt{N}$, where $s_d$ is the spread of
# the paired differences of the runs at hand.

# %% tags=["hide-input"]
judged = judge(read_claims(), **place)
compared = {
    (v.claim.better, v.claim.worse): v.per_video
    for v in judged
    if v.per_video is not None and v.claim.metric == "segment/type_av"
}
ratios, halves = [], []
for per_video in compared.values():
    if not per_video.std():  # the two systems parse all videos alike
        continue
    low, high = bootstrap_interval(per_video)
    halves.append((high - low) / 2)
    ratios.append(halves[-1] / (1.96 * per_video.std(ddof=1) / len(per_video) ** 0.5))
Markdown(
    f"For the {len(ratios)} pairs of which a claim about Type@AV at segment level is made and that "
    f"have runs, the bootstrap's interval is ±{min(halves):.1f} to ±{max(halves):.1f} points, and "
    f"{100 * min(ratios):.0f} to {100 * max(ratios):.0f} % as wide as the formula's."
    if ratios
    else "No pair of which a claim about Type@AV is made has runs yet."
)

# %% [markdown]
# ## Are the videos of LLP as far apart?
#
# Unless the captions say otherwise, all of the above was measured on simulated videos. What real
# ones do to trained methods takes the features of LLP. But the annotations are known, and predictors
# that follow from labels alone can be scored on both ({doc}`02_scoring`). If the scores of two such
# predictors differ from video to video as much on LLP as on the simulation, then the annotations at
# least are no reason to expect another spread. `other flips` flips other decisions than the
# first: two systems that are equally good and whose errors have nothing to do with each other.

# %% tags=["hide-input"]
blocks = list(draw_blocks(SimulatorConfig(**PROFILE_SIZES["full"]), "test"))
weak, heard, seen = (
    torch.cat([getattr(block, name) for block in blocks]) for name in ("weak", "audio", "visual")
)
simulated = AnnotatedSplit(tuple(map(str, range(len(weak)))), weak, heard, seen)
here = spread_of_differences(simulated)
real = read_lines()["splits"]["test"]["spread"]
NAMES = LINES | {"other flips": "the truth, other 5 % flipped"}
show_text(
    [
        {
            "difference of": f"{NAMES[one]}; {NAMES[other]}",
            "Type@AV, LLP": f"{real[key]['segment/type_av']:.1f}",
            "Type@AV, simulated": f"{here[key]['segment/type_av']:.1f}",
            "simulated / LLP, ten metrics": (
                f"{min(here[key][m] / real[key][m] for m in METRICS):.2f} to "
                f"{max(here[key][m] / real[key][m] for m in METRICS):.2f}"
            ),
        }
        for one, other in COMPARED
        for key in [f"{one} - {other}"]
    ],
    right=3,
)

# %% tags=["hide-input"]
quotients = np.array([here[key][m] / real[key][m] for key in real for m in METRICS])
label_based = [real[f"{one} - {other}"]["segment/type_av"] for one, other in COMPARED]
said = (
    f"Spread over the 1,200 test videos, in points. In the median of {quotients.size} comparisons "
    f"the simulated spread is {100 * np.median(quotients):.0f} % of the real one, and "
    f"{100 * np.mean(np.abs(quotients - 1) < 0.2):.0f} % of them agree within a fifth."
)
if chance:
    said += (
        f" On LLP's own labels the differences of these pairs have a spread of {min(label_based):.0f} to "
        f"{max(label_based):.0f} points; the pairs of trained methods had $a$ between "
        f"{chance.least_video[TYPE_AV]:.0f} and {chance.most_video[TYPE_AV]:.0f}."
    )
Markdown(said)

# %% [markdown]
# The seeds are another matter. Nothing about LLP's labels says how far two trainings on LLP would
# be apart. More training videos and more steps may bring seeds together, or not. Some methods are
# trained at two scales here; a spread of so few seeds is itself no more than a rough number. The
# columns for any number of seeds do not depend on it.

# %% tags=["hide-input"]
spreads: dict[str, dict[str, tuple[int, np.ndarray]]] = {}
for scale in reversed(COMMITTED):
    for name, mine in read_scores(REGISTRY, profile=scale)[1].items():
        if len(mine.means) > 2 and REGISTRY[name].training is not None:
            spreads.setdefault(name, {})[scale] = (len(mine.means), mine.means.std(0, ddof=1))
at_two = {name: by_scale for name, by_scale in spreads.items() if len(by_scale) > 1}
show_text(
    [
        {"method": REGISTRY[name].label}
        | {
            f"{scale}: {told}": value
            for scale, (count, spread) in by_scale.items()
            for told, value in (
                ("seeds", count),
                ("Type@AV", f"{spread[TYPE_AV]:.2f}"),
                ("median of ten", f"{np.median(spread):.2f}"),
            )
        }
        for name, by_scale in at_two.items()
    ],
    right=6,
) if at_two else Markdown("No method has three seeds at two scales.")

# %% tags=["hide-input"]
ratios = []
for by_scale in at_two.values():
    (_, small), *_, (_, large) = by_scale.values()
    ratios.append(large[TYPE_AV] / small[TYPE_AV])
Markdown(
    f"Spread over seeds, in points, on simulated LLP (Type@AV at segment level). In "
    f"{sum(r > 1 for r in ratios)} of {len(ratios)} methods with three seeds or more at both scales "
    f"the seeds lie further apart at the larger one, by a factor of {np.median(ratios):.1f} in the "
    f"median of all, {min(ratios):.1f} to {max(ratios):.1f}."
    + (
        " So the scale of this chapter, measured at medium, is too kind to the claims."
        if sum(r > 1 for r in ratios) > 0.75 * len(ratios)
        else " So the scale of this chapter, measured at medium, is not contradicted at full size."
    )
    if ratios
    else ""
)

# %% [markdown]
# ## What to make of it

# %% tags=["hide-input"]
said = [told]
if chance:
    large = beyond(chance.detectable(1))
    per_paper = sorted({c.paper for c in large})
    wanted = [0.5, 1.0, 2.0]
    quantiles = chance.detectable(math.inf)[TYPE_AV] / chance.error(math.inf)[TYPE_AV]
    videos = [(quantiles * chance.video[TYPE_AV] / d) ** 2 for d in wanted]
    said = [
        f"- **One run a row can carry {len(large)} of {len(sized)} claims.** The others may be "
        "true; a table of single runs is not what shows it.",
        f"- **Three seeds are worth more than one, five not much more than three**: in Type@AV at "
        f"segment level {chance.detectable(1)[TYPE_AV]:.1f}, {chance.detectable(3)[TYPE_AV]:.1f} and "
        f"{chance.detectable(5)[TYPE_AV]:.1f} points. What remains, "
        f"{chance.detectable(math.inf)[TYPE_AV]:.1f}, is due to the size of the test split.",
        "- **A finer scale takes more videos.** To detect "
        + listed([f"{d:.1f}" for d in wanted])
        + " points in Type@AV, with seeds as many as one likes, takes about "
        + listed([f"{round(v, -2):,.0f}" for v in videos])
        + " test videos.",
        "- **What to report**: the mean and the spread over at least three seeds, and the paired "
        "difference on the test videos with its interval. `avvp.claims.compare` computes it.",
    ]
Markdown("\n".join(said))
