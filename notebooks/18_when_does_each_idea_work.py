# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # When does each idea work?
#
# Every paper of this book has an idea about the data. Contrast assumes that sound and image of one
# second have something in common that other seconds do not. Refinement assumes that many labels
# belong to one modality alone, and that a network can see which. Grouping assumes that it pays to
# look at each class by itself, and that there is enough data to learn how. On LLP nobody can turn
# these assumptions up or down. In a simulator one can, and this chapter does: the same methods, in
# worlds that differ in one number.
#
# Nothing here is a score on LLP. What the chapter gives is a kind of map: under which assumption an
# idea gains, and under which it costs.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown

from avvp.cells import listed, show_text, takeaways
from avvp.claims import judge, read_claims
from avvp.dependence import PAIRS, STAND_INS, open_sweep, worlds_where
from avvp.events import SEGMENTS
from avvp.experiments import PROFILES, REGISTRY
from avvp.figures import note, use_style
from avvp.figures.dependence import gains
from avvp.metrics import METRICS
from avvp.results import RESULTS, estimate, read_arrays
from avvp.scored import GATES
from avvp.significance import compare_scores, read_scores
from avvp.studies import told_by_scale
from avvp.sweep import KNOBS, STAGES, progress
from avvp.tables import COMMITTED
from avvp.worlds import DEFAULT_WORLD, PARAMETERS, SWEEP, at_world

use_style()
swept = open_sweep(profile=profile)
TYPE_AV = METRICS.index("segment/type_av")

# %% [markdown]
# ## The worlds
#
# {doc}`03_simulated_llp` describes the simulator. Six of its numbers are moved, one at a time, two
# steps away from the calibrated default; all others stay. The ranges were fixed by what a number
# means, before anything was trained in them. The last column tells whether LLP says something about
# the default: through its statistics, or through HAN's printed row, to which the simulator was
# fitted. Of the others the default is no more than a choice, and a verdict that turns over inside
# such a range is worth little without its world.

# %% tags=["hide-input"]
show_text(
    [
        {
            "parameter": parameter.axis,
            "values": " · ".join(
                f"**{value:,g}**" if value == parameter.default else f"{value:,g}"
                for value in parameter.values
            ),
            "what they mean": parameter.why,
            "fixed by LLP": (
                f"yes, at {PROFILES['full'].train:,}, beyond these"
                if parameter.name == "train"
                else "yes"
                if parameter.calibrated
                else "no"
            ),
        }
        for parameter in PARAMETERS.values()
    ]
)

# %% [markdown]
# Moving a parameter changes the test videos too, the number of training videos aside. So methods are
# compared inside a world, never across worlds.
#
# ## What is trained

# %% tags=["hide-input"]
# The published book shows what is committed, whatever lies in runs/.
told = progress(runs=RESULTS) if profile == "published" else progress()
total, lacking = sum(p.runs for p in told), sum(p.missing for p in told)
said = [
    f"Each world has {SWEEP.train:,} training, {SWEEP.val} validation and {SWEEP.test} test videos "
    f"(the axis of training videos aside), and every method {SWEEP.seeds} training seeds. HAN and MA "
    f"get {SWEEP.epochs} epochs, MGN {REGISTRY['mgn/depth_1_1_2'].at(SWEEP).training.epochs} and "
    "fewer layers (depths 1/1/2), because in so few steps the published depths hardly learn. Small "
    "scale favours what learns fast: the map shows directions, and {doc}`14_claim_by_claim` the "
    "verdicts.",
    "Contrast (C), refinement (R) and both are compared with the same network under the same "
    "protocol, `ma/base`, and MGN with HAN under its own. MGN is trained along two axes: events of "
    "one modality, because keeping the modalities apart is what it is for, and training videos, "
    "because its class tokens start from nothing.",
    f"`avvp sweep` makes all {total} runs, and goes on where it was cut off. "
    + (
        f"**{total - lacking} of them are there**, so some panels and rows below are incomplete."
        if lacking
        else "All of them are there."
    ),
]
Markdown("\n\n".join(said))

# %% [markdown]
# Two shells with different `--worlds` share the work of two cores. `avvp sweep list` says what is
# there, and `avvp sweep publish` copies it to the committed results.

# %% tags=["hide-input"]
fastest: dict[str, float] = {}
spent = 0.0
for (_, name), runs in swept.runs.items():
    for run in runs.values():
        per_video = run.seconds / run.configuration["videos"]["train"]
        fastest[name] = min(per_video, fastest.get(name, per_video))
        spent += run.seconds
alone = sum(
    fastest[name]
    * at_world(SWEEP, entry.point.world).train
    * entry.runs
    / len(entry.point.experiments)
    for entry in told
    for name in entry.point.experiments
    if name in fastest
)
kinds = {name for entry in told for name in entry.point.experiments}
said = "No run is there to tell the time from."
if fastest:
    said = (
        f"The runs that are there took {spent / 3600:.1f} hours of one process, on cores that had "
        "other work as well. At the speed of the fastest run of each kind, the whole sweep trains "
        f"for {alone / 60:.0f} minutes in one process, and half as long in two"
    )
    said += (
        "."
        if len(fastest) == len(kinds)
        else f", the {len(kinds) - len(fastest)} kinds of experiments aside that have no run yet."
    )
Markdown(said)

# %% [markdown]
# Before the gains, the worlds themselves: how well the plain network does in each. A world in which
# nothing can be learnt tells nothing about ideas.

# %% tags=["hide-input"]
SHOWN = {"segment/type_av": "Type@AV", "segment/audio": "Audio", "segment/visual": "Visual"}


def score(world: str, name: str = "ma/base", metric: str = "segment/type_av") -> str:
    runs = swept.runs.get((world, name), {})
    return f"{estimate([run.metrics[metric] for run in runs.values()]).mean:.1f}" if runs else "·"


show_text(
    [
        {"HAN, MA's protocol": parameter.axis}
        | {
            place: f"{score(parameter.world(value))} at {value:,g}"
            for place, value in zip(("lowest", "middle", "highest"), parameter.values, strict=True)
        }
        for parameter in PARAMETERS.values()
    ],
    right=3,
)

# %% [markdown]
# Type@AV at segment level, mean over seeds, on simulated data; a dot stands for a world without runs
# yet.
#
# ## The map

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-sweep-gains", "caption": "What each idea adds to HAN in simulated worlds: the difference in Type@AV at segment level from the base under the same protocol, against the value of one parameter of the simulator. Large markers are means over training seeds, dots single seeds, bars 95 % intervals over seeds and test videos; the shaded world is the calibrated default, the same in all panels. All scores are on simulated data."}, "image": {"alt": "Six panels, one a parameter of the simulator, each with three values from left to right. Lines with markers show the gain in Type@AV of contrast, refinement, both, and in two panels grouping, with a bar for its interval; a horizontal line marks no gain."}}
curves = {
    pair.title: [
        swept.curve(pair.better, pair.worse, "segment/type_av", parameter)
        for parameter in PARAMETERS.values()
    ]
    for pair in PAIRS.values()
}
if swept.runs:
    _ = gains(curves, ylabel="gain in Type@AV (points)")
else:
    _ = note("No run of the sweep is there yet: avvp sweep")

# %% [markdown]
# ## In which world does each idea hold?
#
# A gain counts as clear where its 95 % interval leaves out zero, with all seeds. It *depends* on a
# parameter if it is clearly positive at one of its values and clearly negative at another. These
# intervals are not corrected for their number: the sweep decides no claim, it can only take
# certainty away from one. *Better or unclear* is clearly better at some
# of the values and unclear at the others; a dash stands for what
# the sweep does not train.

# %% tags=["hide-input"]
trained = {
    (stage.parameter, name) for stage in STAGES if stage.parameter for name in stage.experiments
}
rows = []
for parameter in PARAMETERS.values():
    for metric, name in SHOWN.items():
        row = {"parameter": parameter.title if name == "Type@AV" else "", "metric": name}
        for key, pair in PAIRS.items():
            curve = swept.curve(pair.better, pair.worse, metric, parameter)
            outcome = f"**{curve.outcome}**" if curve.outcome == "depends" else curve.outcome
            measured = any(g.comparison and g.world != DEFAULT_WORLD for g in curve.gains)
            row[key] = (
                "–"
                if (parameter.name, pair.better) not in trained
                else "not run"
                if not measured
                else outcome
                if curve.complete
                else f"{outcome}, so far"
            )
        rows.append(row)
show_text(rows)

# %% tags=["hide-input"]
said = []
for title, own in curves.items():
    above, below = worlds_where(own, "above"), worlds_where(own, "below")
    measured = {g.world: g.comparison.difference for c in own for g in c.gains if g.comparison}
    if not measured:
        said.append(f"- **{title}**: not run yet.")
        continue
    least, most = min(measured.values()), max(measured.values())
    sentence = (
        f"- **{title}**: measured in {len(measured)} worlds; the gain in Type@AV goes from "
        f"{least:+.1f} to {most:+.1f} points."
        if len(measured) > 1
        else f"- **{title}**: measured in one world, where it changes Type@AV by {most:+.1f} points."
    )
    if above:
        sentence += f" Clearly positive: {listed(above)}."
    if below:
        sentence += f" Clearly negative: {listed(below)}."
    if not above and not below:
        sentence += " Nowhere is it clear of zero."
    turning = [c.parameter.title for c in own if c.outcome == "depends"]
    if turning:
        sentence += f" Its sign **depends on {listed(turning)}**."
    moved = {
        c.parameter.title: max(g.comparison.difference for g in c.gains)
        - min(g.comparison.difference for g in c.gains)
        for c in own
        if all(g.comparison for g in c.gains)
    }
    if moved:
        widest = max(moved, key=moved.get)
        sentence += f" Of the parameters measured at all three values, {widest} moves it most "
        sentence += f"({moved[widest]:.1f} points)."
    said.append(sentence)
Markdown("\n".join(said))

# %% [markdown]
# How much of this is owed to the small scale? The committed runs of larger profiles answer for one
# world, the default. The depth of MGN is the sweep's.

# %% tags=["hide-input"]
measured = {
    SWEEP: {
        pair: swept.gain(pair.better, pair.worse, "segment/type_av", DEFAULT_WORLD).comparison
        for pair in PAIRS.values()
    }
}
for larger in [PROFILES[name] for name in reversed(COMMITTED)]:
    _, scores = read_scores(
        {name for pair in PAIRS.values() for name in pair[1:]}, profile=larger.name
    )
    measured[larger] = {
        pair: compare_scores(scores[pair.better], scores[pair.worse])[TYPE_AV]
        for pair in PAIRS.values()
        if {pair.better, pair.worse} <= scores.keys()
    }
rows = []
for scale, gained in measured.items():
    if not any(gained.values()):
        continue
    row = {"profile": scale.name, "training videos": f"{scale.train:,}"}
    for pair in PAIRS.values():
        gain = gained.get(pair)
        row[pair.title] = gain.in_words if gain else "not run"
    rows.append(row)
show_text(rows, right=len(PAIRS))

# %% [markdown]
# Gains in Type@AV at segment level in the default world, on simulated data; without ± there is one
# seed on a side.

# %% tags=["hide-input"]
scales = [
    told_by_scale(
        pair.better, pair.worse, paper="ma", table="Table 2", metric="segment/type_av", data=data
    )
    for pair in PAIRS.values()
]
scales = [sentence for sentence in scales if sentence]
turned = any("The sign is the same" not in sentence for sentence in scales)
if turned:
    scales.append(
        "So the maps of this chapter are maps of small training sets: they tell on what a gain hangs, "
        "and not safely which sign it has at the size of LLP."
    )
takeaways(scales or ["There are no committed runs of two larger sizes to compare here."])

# %% [markdown]
# Do the assumptions that the chapter began with show? If contrast lives on what the two modalities
# share second by second, its gain should rise with shared dynamics and fall with asynchrony. If
# refinement lives on labels of one modality, its gain should rise with them, and fall where evidence
# is missing, because it then removes labels that are right. Grouping should rise with both of its
# axes.

# %% tags=["hide-input"]
EXPECTED = [
    ("C", "shared_dynamics", 1),
    ("C", "asynchrony", -1),
    ("R", "one_modality", 1),
    ("R", "missing", -1),
    ("MGN", "one_modality", 1),
    ("MGN", "train", 1),
]
rows = []
for key, name, sign in EXPECTED:
    curve = next(c for c in curves[PAIRS[key].title] if c.parameter.name == name)
    ends = [curve.gains[0], curve.gains[-1]]
    row = {
        "idea": PAIRS[key].title,
        "as this rises": curve.parameter.title,
        "its gain should": "rise" if sign > 0 else "fall",
    }
    if all(gain.comparison for gain in ends):
        low, high = (gain.comparison for gain in ends)
        change = high.difference - low.difference
        # The two worlds have nothing in common: their errors add.
        error = np.hypot(*(c.half_width if c.half_width else np.nan for c in (low, high)))
        beyond = "" if np.isnan(error) else " (clearly)" if abs(change) > error else " (unclear)"
        found = "rises" if change > 0 else "falls"
        row["it goes"] = f"{low.difference:+.1f} to {high.difference:+.1f}"
        row["so it"] = f"{found}{beyond}"
    else:
        row |= {"it goes": "not run yet", "so it": "·"}
    rows.append(row)
show_text(rows)

# %% [markdown]
# *Clearly* means that the change exceeds the two intervals added in quadrature.
#
# ### What contrast holds on to
#
# Two things tell the network which second of the image belongs to a second of the sound
# ({doc}`08_contrastive_learning`): events that come and go in both, and the style that both share.
# The first is what the paper hopes for. Asynchrony takes it away, and `shared_dynamics` at 0 takes
# the second. How hard the question is for the trained network shows in its contrastive loss, at the
# end of training and on training videos.

# %% tags=["hide-input"]
answered: dict[str, list[tuple[float, float]]] = {}
rows = []
for name in ("shared_dynamics", "asynchrony"):
    curve = next(c for c in curves[PAIRS["C"].title] if c.parameter.name == name)
    for gain in curve.gains:
        found = swept.runs.get((gain.world, PAIRS["C"].better), {})
        if not found or gain.comparison is None:
            continue
        loss = float(np.mean([read_arrays(path)["history/contrastive"][-1] for path in found]))
        answered.setdefault(name, []).append((loss, gain.comparison.difference))
        rows.append(
            {
                "world": curve.parameter.at(gain.value),
                "contrastive loss (nats)": f"{loss:.2f}",
                "gain in Type@AV": f"{gain.comparison.difference:+.1f}",
            }
        )
show_text(rows, right=2) if rows else Markdown("No run of the sweep is there yet: `avvp sweep`.")

# %% tags=["hide-input"]
said = "It takes both axes of the sweep to say more."
if {len(points) for points in answered.values()} == {3} and len(answered) == 2:
    apart = {name: points[-1][0] - points[0][0] for name, points in answered.items()}
    easier = sorted(answered["shared_dynamics"])
    smoothing = REGISTRY[PAIRS["C"].better].objective.label_smoothing
    target = np.array([1 - smoothing, *[smoothing / (SEGMENTS - 1)] * (SEGMENTS - 1)])
    least = -(target * np.log(target)).sum()
    said = (
        f"Guessing at random costs {np.log(SEGMENTS):.2f} nats, and nothing costs less than {least:.2f}, since "
        "the target is smoothed. From none to the most of shared dynamics the "
        f"loss changes by {apart['shared_dynamics']:+.2f}, from none to the most of asynchrony by "
        f"{apart['asynchrony']:+.2f}. "
    )
    if abs(apart["asynchrony"]) < 0.1 * abs(apart["shared_dynamics"]):
        said += (
            "Moving the image's events away from the sound's makes the question no harder, so the "
            "network does not answer it by events. It answers by style. "
        )
    if easier[0][1] < easier[-1][1]:
        said += (
            f"And the better it answers, the more that costs: {easier[-1][1]:+.1f} points where the "
            f"loss is highest, {easier[0][1]:+.1f} where it is lowest. In this simulator the style says "
            "nothing about classes, and what the network keeps of it stands in the way of what it "
            "keeps of them. If on LLP the things that change together in sound and image are the "
            "events themselves, contrast has something to gain there; these worlds do not have that."
        )
    else:
        said += "What it learns by that does not cost more where the loss is lower."
Markdown(said)

# %% [markdown]
# ## The paper's own knobs
#
# MA's loss has a temperature (0.2) and a smoothed target (0.1; the code smooths it, the paper does
# not say so), and MA's network is decoded through one gate a modality. {doc}`12_ablations` has the
# temperature at larger scale. Here are all three in the default world, each against MA's setting.

# %% tags=["hide-input"]
rows = []
for name in KNOBS:
    method, _, knob = name.removeprefix("ma/").partition("_")
    row = {"method": f"MA ({'C+R' if method == 'cr' else 'C'})", "instead": knob.replace("_", " ")}
    for metric, title in SHOWN.items():
        gain = swept.gain(name, f"ma/{method}", metric, DEFAULT_WORLD)
        row[title] = gain.comparison.in_words if gain.comparison else "not run"
    rows.append(row)
show_text(rows, right=3)

# %% [markdown]
# The gate needs no training: every run keeps its scores under all of them. With the gate of the
# *video* a segment counts only if the whole video is believed to hold the class, with that of the
# *modality* only if the modality is.

# %% tags=["hide-input"]
rows = []
for name in ("ma/base", "ma/c", "ma/r", "ma/cr"):
    found = swept.runs.get((DEFAULT_WORLD, name), {})
    row = {"method": REGISTRY[name].title, "seeds": f"{len(found)}"}
    tables = [read_arrays(path)["gates"] for path in found]
    for number, gate in enumerate(GATES):
        scores = [table[number][TYPE_AV] for table in tables]
        row[f"gate: {gate or 'none'}"] = f"{np.mean(scores):.1f}" if tables else "not run"
    rows.append(row)
show_text(rows, right=4)

# %% [markdown]
# Type@AV at segment level, mean over seeds, on simulated data.
#
# ## What this means for the claims
#
# A claim of a paper keeps its verdict from {doc}`14_claim_by_claim`, made at larger scale in the
# default world. If its difference turns over inside the range of a parameter that nothing measured
# on LLP fixes, the verdict is reported with the words *depends on*, here and in every table of claims.

# %% tags=["hide-input"]
verdicts = judge(read_claims(), profile=profile, data=data)
open_axes = [p.title for p in PARAMETERS.values() if not p.calibrated]
touched = [verdict for verdict in verdicts if verdict.depends_on]
looked = {
    name
    for stage in STAGES
    if stage.parameter and not PARAMETERS[stage.parameter].calibrated
    for name in stage.experiments
}
asked = [
    verdict
    for verdict in verdicts
    if verdict.claim.kind == "score"
    and verdict.claim.better in looked
    and STAND_INS.get(verdict.claim.worse, verdict.claim.worse) in looked
]
said = [
    f"The sweep can speak to {len(asked)} of the {len(verdicts)} claims: those whose two methods it "
    f"trains along the axes that LLP leaves open, {listed(open_axes)}. HAN under MA's protocol stands "
    f"in for HAN where a claim of MA is against HAN. {len(touched) or 'None'} of them depend on such a "
    "parameter" + (" so far." if lacking else "."),
]
said += [
    f"- {verdict.claim.statement} ({verdict.claim.metric}): {verdict.outcome}, depends on "
    f"{listed(verdict.depends_on)}."
    for verdict in touched
]
fixed = [
    (title, curve)
    for title, own in curves.items()
    for curve in own
    if curve.outcome == "depends" and curve.parameter.calibrated
]
if fixed:
    said.append(
        "\nAn axis that LLP fixes takes no certainty away, for there LLP's own value says on which side "
        "of the turn it lies:\n"
    )
for title, curve in fixed:
    # LLP has more training videos than any of these worlds; of all else the default is LLP's.
    at_llp = [gain for gain in curve.gains if gain.world == DEFAULT_WORLD]
    (gain,) = curve.gains[-1:] if curve.parameter.name == "train" else at_llp
    if gain.comparison is None:
        continue
    said.append(
        f"- {title[0].upper()}{title[1:]} turns along {curve.parameter.title}. At the value nearest to "
        f"LLP's, {curve.parameter.at(gain.value)}, it changes Type@AV by "
        f"{gain.comparison.in_words} points."
    )
Markdown("\n".join([said[0], "", *said[1:]]))
