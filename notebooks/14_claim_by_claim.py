# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Claim by claim
#
# The chapters on Cross-Modal learning, MA and MGN close with a table of claims: what the paper says in
# sentences of the form "this is better than that", and what our runs say. Here these tables stand
# together. One rule judges all that is about scores, and it was fixed before any of the runs were
# made.

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %% tags=["hide-input"]
from collections import Counter
from typing import get_args

from IPython.display import Markdown

from avvp.cells import code, show
from avvp.claims import Outcome, bootstrap_interval, claims_table, compare, holm, judge, read_claims
from avvp.figures import note, use_style
from avvp.figures.claims import claimed_against_measured
from avvp.tables import PAPERS

use_style()

# %% [markdown]
# ## The rule
#
# A claim names two systems and a metric. Let $D$ be the difference of their means over training
# seeds. Two things could have come out otherwise, the training and the choice of test videos, and
# the standard error has a term for either:
#
# $$
# SE^2 = \frac{s_1^2}{n_1} + \frac{s_2^2}{n_2} + \frac{s_d^2}{N} .
# $$
#
# $s_1, s_2$ are the spreads over the $n_1, n_2$ seeds, and $s_d$ is that of the differences of the
# $N$ test videos, each averaged over seeds first, so that a video that is hard for both counts
# little. That is on the cautious side: what a seed does to single videos moves the mean as well, so
# it is in $s_1$ and $s_2$ already ({doc}`20_significance` says how much that is).

# %% tags=["hide-input"]
code(compare)

# %% [markdown]
# With so many claims some would look settled by chance. So the two-sided $p$ of $D / SE$ is
# corrected by Holm's method over all claims that can be tested: the smallest is multiplied by their
# number, the next by one less, and so on, never falling.

# %% tags=["hide-input"]
code(holm)

# %% [markdown]
# A claim is *supported* if the corrected $p$ is below 0.05 and the sign is the claimed one, and
# *contradicted* if it is the other one. In all other cases it is *not decidable* here: with fewer
# than three seeds of either side, and for a reduced model, it is so from the start. The size that a
# paper claims is shown, and not tested. The sizes of networks are computed and compared exactly. They
# are a check of our counting and no test of the papers: what the papers mean by a megabyte was chosen
# because it fits what they print ({doc}`13_depth_and_size`).
#
# The simulator has numbers that nothing measured on LLP fixes. Where a difference turns over inside
# the range of such a number, the verdict says that it *depends on* it; {doc}`18_when_does_each_idea_work`
# has the worlds in which that was looked at.
#
# ## How many hold

# %% tags=["hide-input"]
verdicts = judge(read_claims(), profile=profile, data=data)
ABOUT = {
    "score": "scores",
    "count": "false positives, recall",
    "history": "class tokens",
    "exact": "sizes of networks",
}
tally = Counter((v.claim.paper, v.claim.kind, v.outcome) for v in verdicts)
show(
    [
        {"paper": name, "about": about}
        | {outcome: tally[paper, kind, outcome] for outcome in get_args(Outcome)}
        for paper, name in PAPERS.items()
        for kind, about in ABOUT.items()
        if any(counted[:2] == (paper, kind) for counted in tally)
    ]
)

# %% [markdown]
# {numref}`fig-claims` draws what was measured against what is claimed, for all claims about scores
# that have a printed size, decidable or not. If our runs reproduced the papers, the points would lie
# along the dotted line.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-claims", "caption": "Claims about scores: the printed size of a difference, measured on LLP, and the difference in our runs, in the direction of the claim, with its 95 % interval where there are seeds enough. The title says what our runs were scored on; on simulated LLP all measured differences are simulated."}, "image": {"alt": "Scatter plot of measured over claimed differences in points, a marker a claim and a colour and shape a paper, with a horizontal line at zero and a dotted diagonal. Claimed differences are a few points; measured ones scatter on both sides of zero, some of them far."}}
measured = [verdict for verdict in verdicts if verdict.comparison]
worlds = dict.fromkeys(f"{verdict.world}, {verdict.profile}" for verdict in measured)
_ = (
    claimed_against_measured(verdicts, title="; ".join(worlds))
    if measured
    else note("No claim about scores has its runs yet; the table below names the commands.")
)

# %% tags=["hide-input"]
scores = [v for v in measured if v.claim.kind == "score"]
right = sum(v.claim.sign * v.comparison.difference > 0 for v in scores)
clear = [v for v in scores if v.comparison.half_width]
beyond = [v for v in clear if abs(v.comparison.difference) > v.comparison.half_width]
told = "There is nothing to sum up yet."
if scores:
    told = (
        f"Of {len(scores)} differences of scores that our runs can measure, {right} have the claimed "
        f"sign. {len(clear)} have an interval; {len(beyond)} of these leave out zero, and "
        f"{sum(v.claim.sign * v.comparison.difference > 0 for v in beyond)} of those "
        "in the claimed direction. After the correction "
        f"{sum(v.outcome in ('supported', 'contradicted') for v in scores)} are decided; the others "
        "would take more seeds, or larger differences, than there are."
    )
Markdown(told)

# %% [markdown]
# ## A second opinion
#
# The interval above leans on a normal distribution. A paired bootstrap does not: it draws the test
# videos anew, with replacement, and takes the differences that come out. It knows nothing of the
# training seeds, so it should be the narrower of the two, most of all where there are few seeds.

# %% tags=["hide-input"]
second = []
for verdict in clear:
    low, high = bootstrap_interval(verdict.per_video)
    second.append(((high - low) / 2, verdict.comparison.half_width, low <= 0 <= high))
told = "It takes claims with an interval; there are none yet."
if second:
    ratios = sorted(bootstrap / whole for bootstrap, whole, _ in second)
    told = (
        f"For {len(second)} claims with an interval the bootstrap's is "
        f"{100 * ratios[len(ratios) // 2]:.0f} % as wide in the median, and from "
        f"{100 * ratios[0]:.0f} % to {100 * ratios[-1]:.0f} %. Over videos alone "
        f"{sum(not zero for *_, zero in second)} differences leave out zero; with the seeds "
        f"{len(beyond)} do. Most of what is uncertain about these differences is which seed one "
        "happened to train with."
        if ratios[len(ratios) // 2] < 0.7
        else f"For {len(second)} claims with an interval the bootstrap's is "
        f"{100 * ratios[len(ratios) // 2]:.0f} % as wide in the median."
    )
Markdown(told)

# %% [markdown]
# ## All claims

# %% tags=["hide-input"]
claims_table(profile=profile, data=data)
