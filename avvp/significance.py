"""How large a difference of two scores must be before it says something.

By the rule of :mod:`avvp.claims` the difference of two systems with n seeds each, on N test videos,
has the standard error

    SE^2 = 2 s^2 / n + (a^2 + b^2 / n) / N.

s is how far the score of a typical system moves from seed to seed. a is how far the two systems'
scores of one video differ from video to video if each is averaged over many seeds, and b what a
single seed of each adds to that. A difference is *detectable* if it would leave out zero, at a
two-sided level of ``ALPHA``, in a share ``POWER`` of repetitions: that takes

    (t(1 - ALPHA / 2) + t(POWER)) SE,

about 2.8 standard errors, with the degrees of freedom that s was estimated with. With ever more
seeds 2.8 a / sqrt(N) is left, for which only other videos help.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from avvp.claims import ALPHA, Comparison, compare
from avvp.errors import AvvpError
from avvp.experiments import get_profile, is_current, open_source
from avvp.metrics import METRICS
from avvp.results import RESULTS, RUNS, Run, find_runs, read_arrays
from avvp.tables import COMMITTED

POWER = 0.8

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Scores:
    """Several seeds of one experiment on the same test videos.

    Attributes:
        means: (n, 10), per cent, by :data:`avvp.metrics.METRICS`.
        per_video: (n, N, 10), likewise.
    """

    means: np.ndarray
    per_video: np.ndarray


@dataclass(frozen=True, eq=False)
class Chance:
    """What moves a difference of two systems though neither changes; all (10,), in points.

    Attributes:
        seed: s, of the typical experiment; see :func:`typical_variance`.
        freedom: degrees of freedom of that.
        pooled_seed: what s would be if all experiments were taken to be equally steady.
        seed_by_experiment: name -> the same of that experiment alone.
        video: a, the median over the pairs.
        least_video, most_video: a, of the pairs that differ least and most from video to video.
        video_of_seed: b, the median over the pairs.
        pairs: how many.
        videos: of the test split, N.
    """

    seed: np.ndarray
    freedom: float
    pooled_seed: np.ndarray
    seed_by_experiment: Mapping[str, np.ndarray]
    video: np.ndarray
    least_video: np.ndarray
    most_video: np.ndarray
    video_of_seed: np.ndarray
    pairs: int
    videos: int

    def error(self, seeds: float, *, videos: float | None = None) -> np.ndarray:
        """The standard error of a difference, (10,).

        Args:
            seeds: of each of the two systems; may be infinite.
            videos: of the test split, by default as many as there are; infinite: only these
                videos matter, they are no sample.
        """
        videos = self.videos if videos is None else videos
        by_seed = 2 * self.seed**2 / seeds
        return np.sqrt(by_seed + (self.video**2 + self.video_of_seed**2 / seeds) / videos)

    def margin(self, seeds: float) -> np.ndarray:
        """Half the interval of a difference, (10,): what a measured one has to exceed."""
        return self._quantile(1 - ALPHA / 2, seeds) * self.error(seeds)

    def detectable(self, seeds: float, *, videos: float | None = None) -> np.ndarray:
        """The smallest detectable difference, (10,); see :meth:`error`."""
        quantiles = self._quantile(1 - ALPHA / 2, seeds) + self._quantile(POWER, seeds)
        return quantiles * self.error(seeds, videos=videos)

    def _quantile(self, share: float, seeds: float) -> float:
        """Of Student's distribution; with infinitely many seeds their spread does not matter."""
        return float(stats.t.ppf(share, self.freedom if math.isfinite(seeds) else math.inf))


def measure_chance(scores: Mapping[str, Scores], pairs: Iterable[Pair]) -> Chance:
    """Estimate what moves differences.

    Only experiments with two seeds or more count: s^2 is that of the typical one, and a pair is
    looked at if both its sides are among them. What their seeds add to the variance of its
    per-video differences is taken off; a^2 is what is left, at least 0.

    Args:
        scores: of experiments that parse both modalities.
        pairs: of names that are compared.

    Raises:
        AvvpError: no pair has two seeds a side, or videos differ.
    """
    several = {name: mine for name, mine in scores.items() if len(mine.means) > 1}
    known = _known(scores, pairs)
    if not known:
        raise AvvpError(
            "How much chance moves differences takes a pair with two seeds a side; make some with "
            "`avvp reproduce --profile medium --seeds 2`."
        )
    shapes = {mine.per_video.shape[1:] for mine in several.values()}
    if len(shapes) > 1:
        raise AvvpError(f"These runs were scored on different numbers of videos: {shapes}.")
    ((videos, _),) = shapes
    freedoms = np.array([len(mine.means) - 1 for mine in several.values()])
    variances = np.array([mine.means.var(axis=0, ddof=1) for mine in several.values()])
    typical, freedom = typical_variance(variances, freedoms)
    lasting, passing = [], []
    for sides in known:
        one, other = (scores[name].per_video for name in sides)
        own = [_of_one_seed(one), _of_one_seed(other)]
        apart = (one.mean(axis=0) - other.mean(axis=0)).var(axis=0, ddof=1)
        lasting.append(np.maximum(apart - own[0] / len(one) - own[1] / len(other), 0))
        passing.append(sum(own))
    spread = np.sqrt(lasting)
    return Chance(
        np.sqrt(typical),
        freedom,
        np.sqrt(freedoms @ variances / freedoms.sum()),
        dict(zip(several, np.sqrt(variances), strict=True)),
        np.median(spread, axis=0),
        spread.min(axis=0),
        spread.max(axis=0),
        np.sqrt(np.median(passing, axis=0)),
        len(known),
        videos,
    )


def typical_variance(variances: np.ndarray, freedoms: np.ndarray) -> tuple[np.ndarray, float]:
    """The variance of a typical one of several experiments, and its degrees of freedom.

    A pooled variance takes all to be equally steady, and then one whose trainings end now here, now
    there speaks for all. The median does not let it. As the variance of few seeds is more often too
    small than too large, each is first divided by the median that it would have by chance, were the
    true one 1; so the result is right where all are equally steady. The degrees of freedom are
    those of a pooled variance that would be as uncertain, about half as many.

    Args:
        variances: (n, M), of n experiments.
        freedoms: (n,), seeds less one.
    """
    medians = stats.chi2.ppf(0.5, freedoms) / freedoms
    # The variance of a median of n is n / (2 sum h)^2, h being the densities there.
    densities = medians * freedoms * stats.chi2.pdf(medians * freedoms, freedoms)
    freedom = 8 * densities.sum() ** 2 / len(freedoms)
    return np.median(variances / medians[:, None], axis=0), float(freedom)


def compare_scores(one: Scores, other: Scores) -> list[Comparison]:
    """``one`` minus ``other`` in the ten metrics, in points, by as many seeds as both have.

    See :func:`avvp.claims.compare`; without a second seed a side the differences have no interval.

    Raises:
        AvvpError: the two were not scored on as many videos.
    """
    if one.per_video.shape[1:] != other.per_video.shape[1:]:
        sizes = [f"{side.per_video.shape[1]:,}" for side in (one, other)]
        raise AvvpError(f"One side was scored on {sizes[0]} videos and the other on {sizes[1]}.")
    n = min(len(one.means), len(other.means))
    by_video = (one.per_video[:n] - other.per_video[:n]).mean(axis=0)  # (N, 10)
    return [
        compare(one.means[:n, column], other.means[:n, column], by_video[:, column])
        for column in range(len(METRICS))
    ]


def _known(scores: Mapping[str, Scores], pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs, each once, with two seeds a side."""
    several = {name for name, mine in scores.items() if len(mine.means) > 1}
    return [pair for pair in dict.fromkeys(pairs) if set(pair) <= several]


def open_chance(
    pairs: Iterable[Pair],
    *,
    profile: str = "published",
    data: str = "sim",
    runs: Path = RUNS,
    results: Path = RESULTS,
) -> tuple[str, Chance | None]:
    """What chance does to differences of these pairs, and what the runs are, in words.

    Committed runs count; on other data than ``"sim"``, those of this build's profile.

    Args:
        pairs: of names of experiments.
        profile, data: of this build.
        runs, results: the two roots of runs.

    Returns:
        the words, and None in place of a measurement if there are too few runs.
    """
    pairs = list(pairs)
    names = {name for pair in pairs for name in pair}
    if data == "sim":
        used, scores = read_scores(names, roots=results)
        world = "simulated LLP"
    else:
        source = open_source(data, get_profile(profile))
        place = {"profile": profile, "data": source.name, "fingerprint": source.of_runs}
        used, scores = read_scores(names, **place, roots=[runs, results])
        world = source.in_words
    seeds = sorted(len(mine.means) for mine in scores.values())
    if not _known(scores, pairs):
        command = f"avvp reproduce --profile {used} --seeds 2" + f" --data {data}" * (data != "sim")
        return f"Too few runs to measure how far they are apart: `{command}` makes some.", None
    chance = measure_chance(scores, pairs)
    experiments = len(chance.seed_by_experiment)
    return f"{world}, {used}: {experiments} experiments with up to {seeds[-1]} seeds", chance


def _of_one_seed(per_video: np.ndarray) -> np.ndarray:
    """The variance over videos that one of these seeds adds to the mean of many, (10,)."""
    apart = per_video - per_video.mean(axis=0)
    # What a seed moves all videos by is s, not this.
    apart -= apart.mean(axis=1, keepdims=True)
    return (apart**2).sum(axis=0).mean(axis=0) / (len(apart) - 1)


def read_scores(
    names: Collection[str],
    *,
    profile: str | None = None,
    data: str = "sim",
    fingerprint: str | None = None,
    roots: Path | list[Path] = RESULTS,
) -> tuple[str, dict[str, Scores]]:
    """The scores of current runs that parse both modalities, and the profile that they are of.

    Args:
        names: of experiments; those without runs are left out.
        profile: which; None: of the committed ones that under which most experiments have two
            seeds or more, the larger one of equals.
        data, fingerprint: see :func:`avvp.results.find_runs`.
        roots: folders of runs.
    """
    found = {}
    for each in [profile] if profile else COMMITTED:
        runs = find_runs(roots, data=data, profile=each, fingerprint=fingerprint)
        found[each] = _scores_of(names, runs)
    best = max(found, key=lambda p: sum(len(mine.means) > 1 for mine in found[p].values()))
    return best, found[best]


def _scores_of(names: Collection[str], runs: Mapping[Path, Run]) -> dict[str, Scores]:
    grouped: dict[str, list] = {}
    for path, run in runs.items():
        if run.experiment in names and is_current(run) and set(run.metrics) == set(METRICS):
            row = [run.metrics[name] for name in METRICS]
            grouped.setdefault(run.experiment, []).append(
                (row, read_arrays(path)["per_video"].astype(float))
            )
    return {
        name: Scores(np.array([row for row, _ in mine]), np.stack([each for _, each in mine]))
        for name, mine in grouped.items()
    }
