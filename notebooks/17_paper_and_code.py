# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Paper, code, and the difference
#
# The printed scores of a method come from its code. Whoever builds the method from the paper builds
# another one, and so does whoever fixes a bug in the release. This chapter lists every place that
# we know of where the two part: {cite:t}`han`, {cite:t}`ma`, {cite:t}`mgn` and
# {cite:t}`cross_modal` against their code, each paper against itself and against the others, and all
# of them against the annotations. HAN's own paper was not among our sources: what is said here of
# its text is what the later papers restate, and *not said* means not said there. Beside each stands what follows from it, and where this book can
# measure that, how many points it is worth.
#
# None of this is a complaint. The code was published, which is why it can be compared at all, and
# most slips change nothing. The point is to tell those from the few that do.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
from collections import Counter
from typing import get_args

from IPython.display import Markdown

from avvp.cells import code, listed, show, show_text, takeaways
from avvp.differences import (
    AUTHORS,
    Outcome,
    chance,
    differences_table,
    drawable,
    effects,
    printed_means,
    read_differences,
)
from avvp.figures import use_style
from avvp.figures.differences import effect_sizes
from avvp.models.mgn import MGN
from avvp.published import published
from avvp.tables import PAPERS

use_style()

differences = read_differences()
found = effects(differences, profile=profile, data=data)
drawn = drawable(differences, found)
by_chance = chance()


together = Counter(row.key for row in differences)


def whose(row) -> str:
    if row.part == "annotations":
        return "LLP"
    names = [AUTHORS[paper] for paper in row.papers]
    if "mgn" in row.papers:
        names = [name.removeprefix("MGN's ") for name in names]
    return ", ".join(names) if len(names) < 3 else f"{names[0]} and others"


def subject(row) -> str:
    first = row.subject.partition(" ")[0]
    told = (
        row.subject if first[1:].lower() != first[1:] else first.lower() + row.subject[len(first) :]
    )
    more = together[row.key] - 1 if row.of else 0
    return f"{told}, and {more} more" if more else told


def in_words(row) -> str:
    return f"{subject(row)} ({whose(row)})"


# %% [markdown]
# ## Which differences matter
#
# {numref}`fig-differences` draws every difference that could be measured in points, the largest
# first. Differences between code and paper count as released minus as printed: to the right, the
# released code scores higher. Contradictions count as the first reading minus the second.
#
# The four markers are four kinds of evidence, and not equally strong. *Trained anew*: two networks,
# trained one way and the other. *Same network*: one training, decided, selected or scored in two
# ways, so that no other training comes between. *Printed numbers*: arithmetic on the papers' tables,
# which needs no run. *Annotations of LLP*: counted on the real labels. Only the last two are about
# LLP itself; the first two happen on simulated LLP, unless this book was built with other data.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-differences", "caption": "Effects of differences between papers, released code and annotations, in points; the number stands at the right. Bars are 95 % intervals: over seeds and test videos for what was trained anew, over seeds for what one network says in two ways. An empty marker has a single seed on a side and no interval; the grey band shows how far two trainings of a typical network lie apart in 95 of 100 cases, in Type@AV, so an empty marker inside it says nothing. Runs are simulated LLP where the tables below say so."}, "image": {"alt": "A long list of differences, sorted by size, with a marker for the effect of each in points left or right of a zero line, and intervals where there are several seeds. A few lie beyond ten points, most within the grey band of chance around zero."}}
_ = effect_sizes(
    [(f"{whose(row)}: {subject(row)}", effect) for row, effect in drawn],
    chance=by_chance,
)

# %% [markdown]
# Not everything has a size. The next table counts what became of all that was listed. *Settled* is
# what counting decides, or seeds of one network alone. *No effect* is certain without a run: code that nothing
# calls, or two files that compute the same. *Not measured* has no second version to compare with, or
# none that anybody trained; the tables say which.

# %% tags=["hide-input"]
PARTS = {
    "code": "code against paper",
    "paper": "a paper against itself or another",
    "annotations": "annotations",
}
tally = Counter((row.part, found[row.id].outcome) for row in differences)
show(
    [
        {"differences": told}
        | {outcome: tally[part, outcome] for outcome in get_args(Outcome)}
        | {"in all": sum(row.part == part for row in differences)}
        for part, told in PARTS.items()
    ]
)

# %% [markdown]
# ## Code against paper
#
# A number in brackets is the place in our list: the part of a release, and the item. A subject links
# to the chapter that treats it. An effect is that of its row alone, unless the row says what else
# changes with it.


# %% tags=["hide-input"]
def part(*papers: str):
    rows = [row for row in differences if row.part == "code" and row.papers[0] in papers]
    told = listed([AUTHORS[paper] for paper in papers])
    return differences_table(rows, found, caption=f"{told}: paper and released code.")


part("han")

# %% tags=["hide-input"]
part("ma")

# %% [markdown]
# One row of the next table deserves its code, because a single word does it. The extra grouping
# block of MGN is hard where the option says soft, and soft where it says hard;
# `extra_grouping="intended"` turns it.

# %% tags=["hide-input"]
source = code(MGN.__init__).data.splitlines()
first = next(n for n, line in enumerate(source) if "hard, hard_across" in line)
last = next(n for n, line in enumerate(source) if "self.segment_grouping" in line)
Markdown("\n".join(["```python", *(line[4:] for line in source[first : last + 3]), "```"]))

# %% tags=["hide-input"]
part("mgn")

# %% tags=["hide-input"]
part("cross_modal")

# %% [markdown]
# ## A paper against itself, and against the others
#
# Here the release cannot arbitrate: the documents say two things. Each row ends with the one that
# this book follows.

# %% tags=["hide-input"]
mgn_papers = {"mgn", "mgn_abstract", "mgn_supp"}
contradictions = [row for row in differences if row.part == "paper"]
within = [row for row in contradictions if set(row.papers) <= mgn_papers]
differences_table(within, found, caption="MGN, its extended abstract and its supplement.")

# %% tags=["hide-input"]
rest = [row for row in contradictions if row not in within]
alone = [row for row in rest if len(row.papers) == 1]
differences_table(alone, found, caption="MA, and Cross-Modal learning, each by itself.")

# %% tags=["hide-input"]
across = [row for row in rest if row not in alone]
differences_table(across, found, caption="Papers against each other.")

# %% [markdown]
# ### A mean that is none
#
# One contradiction takes no other document and no run. All papers define Type@AV as the mean of the
# scores for audio, visual and audio-visual events. Three rounded scores fix their mean to within a
# tenth of a point, and the printed one can be held against it.

# %% tags=["hide-input"]
means = printed_means()
broken = [mean for mean in means if mean.broken]
distinct = {(mean.printed, round(mean.mean, 2)): [] for mean in broken}
for mean in broken:
    distinct[mean.printed, round(mean.mean, 2)].append(mean)
show_text(
    [
        {
            "row": cells[0].place.in_words,
            "printed in": "; ".join(
                f"{PAPERS[mean.place.paper]}, {mean.place.table}" for mean in cells
            ),
            "level": cells[0].level,
            "printed": f"{printed:.1f}",
            "mean of the parts": f"{of_parts:.2f}",
            "too high by": f"{printed - of_parts:+.2f}",
        }
        for (printed, of_parts), cells in distinct.items()
    ],
    right=3,
)

# %% tags=["hide-input"]
Markdown(
    f"{len(means) - len(broken)} of {len(means)} printed means agree with their parts; "
    f"{len(broken)} cells, which hold {len(distinct)} different results, do not, and all of them "
    f"stem from {listed(sorted({mean.place.row for mean in broken}))}. Either a score beside them "
    "is misprinted or the mean is. In our tables Type@AV is always computed from its parts."
)

# %% [markdown]
# ## Annotations and metric
#
# The last part is about what all methods share. Its numbers were computed from LLP's own files by
# `avvp oddities`, and the files are named by their checksums in `results/llp/oddities.json`; no
# annotation is part of this book.

# %% tags=["hide-input"]
differences_table(
    [row for row in differences if row.part == "annotations"],
    found,
    caption="Annotations of LLP, and what they do to scores.",
)

# %% [markdown]
# ## What to make of it

# %% tags=["hide-input"]
said = []
in_code = [row for row in differences if row.part == "code"]
outcomes = Counter(found[row.id].outcome for row in in_code)
sized = [(row, effect) for row, effect in drawn if row.part == "code"]
said.append(
    f"Of {len(in_code)} differences between code and paper {outcomes['no effect']} cannot change a "
    f"score, {outcomes['measured']} are measured in points, {outcomes['settled']} settled without, "
    + f"{outcomes['not run']} wait for their runs, " * bool(outcomes["not run"])
    + f"and for {outcomes['not measured']} there is nothing to compare with."
)
if sized:
    (row, effect), *_ = sized
    said.append(f"The largest is {in_words(row)}, with {effect.told.rstrip('.')}.")
    gain = published("mgn", "Table 1", "MGN")["segment/type_av"]
    gain -= published("mgn", "Table 1", "HAN")["segment/type_av"]
    # As printed: to one decimal.
    larger = [row for row, effect in sized if round(abs(effect.points), 1) >= round(gain, 1)]
    said.append(
        f"For scale: MGN's printed gain over HAN is {gain:.1f} points of Type@AV. {len(larger)} of "
        f"the {len(sized)} effects in code are at least as large."
    )
    # On validation videos the best epoch wins by construction: that settles nothing.
    tested = [(row, effect) for row, effect in sized if row.measure != "epochs"]
    clear = [in_words(row) for row, effect in tested if effect.clear]
    wide = [row for row, effect in tested if effect.half_width is not None]
    if wide:
        said.append(
            f"Of {len(wide)} that have an interval on test videos, {len(clear)} leave{'s' * (len(clear) == 1)} out zero"
            + (f": {listed(clear)}." if clear else ".")
        )
    single = [(row, effect) for row, effect in sized if effect.single]
    if single and by_chance is not None:
        beyond = [in_words(row) for row, effect in single if abs(effect.points) > by_chance]
        said.append(
            f"Behind {len(single)} of the {len(sized)} effects are single trainings, and two trainings "
            f"of a typical network lie up to {by_chance:.1f} points apart by chance alone. Beyond that: "
            f"{listed(beyond) or 'none'}."
        )
rules = [(row, effect) for row, effect in sized if row.measure in ("gates", "epochs")]
if rules:
    told = [f"{in_words(row)} by {effect.points:+.1f}" for row, effect in rules]
    said.append(
        "What no architecture diagram shows, the decision rule and the choice of the epoch, moves "
        f"the score of one and the same network: {listed(told)}. Rows of a table that come from "
        "different releases differ in this too."
    )
takeaways(said)

# %% tags=["hide-input"]
labels = [effect for row, effect in drawn if row.part == "annotations"]
printed = [(row, effect) for row, effect in drawn if effect.evidence == "printed numbers"]
said = []
if printed:
    largest = max(printed, key=lambda pair: abs(pair[1].points))
    said.append(
        f"Beside {len(printed)} contradictions stand printed scores that tell which of two readings the "
        f"tables follow, {min(abs(effect.points) for _, effect in printed):.1f} to "
        f"{abs(largest[1].points):.1f} points apart. That takes no run, only a second look."
    )
repair = next(effect for row, effect in drawn if row.of == "repairs")
said.append(
    f"The repaired names in the annotations, on the other hand, are worth {repair.points:.2f} points "
    "at most: scores on either version of the files can be compared."
)
idle = [row for row in differences if row.measure == "idle"]
said.append(
    "What is stored and never runs costs no score, but it enters every comparison of sizes. "
    + " ".join(
        f"{in_words(row)[0].upper()}{in_words(row)[1:]}: {found[row.id].told}" for row in idle
    )
)
takeaways(said)

# %% [markdown]
# Three habits would have made most of this list unnecessary: to publish the configuration that made
# each row of a table, to compute every derived number by a script, and to run the released code once
# from a fresh copy before publishing it.
