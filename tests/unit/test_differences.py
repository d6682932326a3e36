"""Differences are listed completely, in our own words, and measured where they can be."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from avvp.differences import (
    AUTHORS,
    Difference,
    Effect,
    chance,
    differences_table,
    drawable,
    effects,
    metric_name,
    printed_means,
    read_differences,
)
from avvp.errors import AvvpError
from avvp.metrics import METRICS
from tests.conftest import ROOT
from tests.unit.test_claims import seeds, store, videos

TYPE = METRICS.index("segment/type_av")
CHECKED = Difference(
    id="one",
    part="code",
    papers=("mgn",),
    subject="A flag",
    says="yes",
    does="no",
    here="As released",
    source="5.3.1",
    measure="runs",
    of="mgn/mgn han/han",
    metric="segment/type_av",
    note="",
    chapter="10_grouping",
)


@pytest.fixture
def roots(tmp_path) -> dict[str, Path]:
    return {"runs": tmp_path / "runs", "results": tmp_path / "results"}


def one(roots, **changes) -> Effect:
    row = CHECKED._replace(**changes)
    return effects([row], **roots)[row.id]


# The list


def test_no_item_of_a_section_and_no_contradiction_is_left_out():
    """Without the documents: items are numbered through, and so are contradictions."""
    sources = {row.source for row in read_differences()}
    numbers = {source for source in sources if source.startswith("X")}
    assert numbers == {f"X{n}" for n in range(1, 42)}
    sections: dict[str, list[int]] = {}
    for source in sorted(sources - numbers):
        section, _, item = source.rpartition(".")
        sections.setdefault(section, []).append(int(item))
    assert {name: sorted(items) for name, items in sections.items()} == {
        f"5.{section}": [*range(1, count + 1)]
        for section, count in enumerate((9, 9, 8, 14, 3), start=1)
    }


def test_the_list_is_complete_by_the_documents(shared):
    text = (shared / "golden" / "README.md").read_text()
    items, section = set(), ""
    for line in text.splitlines():
        if heading := re.match(r"#{2,3} (\d+(\.\d+)?)", line):
            section, count = heading[1], 0
        elif section.startswith("5.") and line.startswith("* "):
            count += 1
            items.add(f"{section}.{count}")
    inventory = (shared / "published" / "inventory.md").read_text()
    contradictions = set(re.findall(r"^\| \d+ \| (X\d+) \|", inventory, flags=re.MULTILINE))
    assert len(items) > 40 and len(contradictions) > 40
    assert {row.source for row in read_differences()} == items | contradictions


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def test_no_sentence_of_a_paper_is_copied(shared):
    length = 8
    runs = set()
    for paper in (shared / "papers").iterdir():
        told = words(paper.read_text())
        runs |= {tuple(told[n : n + length]) for n in range(len(told) - length + 1)}
    for row in read_differences():
        for text in (row.subject, row.says, row.does, row.here, row.note):
            told = words(text)
            assert not {tuple(told[n : n + length]) for n in range(len(told))} & runs, row.id


def test_every_difference_leads_to_a_chapter():
    chapters = {path.stem for path in (ROOT / "notebooks").glob("*.py")}
    assert {row.chapter for row in read_differences()} <= chapters


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"subject": ""}, "row 2: subject is empty"),
        ({"part": "codes"}, "part is 'codes'; it must be one of code, paper, annotations"),
        ({"measure": "guess"}, "measure is 'guess'; it must be one of runs"),
        ({"papers": "mgm"}, "papers is 'mgm'; it must name some of han"),
        ({"papers": ""}, "papers is ''; it must name some of han"),
        ({"metric": "type_av"}, "metric is 'type_av'; it must be one of the ten"),
        ({"of": "mgn/mgn"}, "of is 'mgn/mgn', which 'runs' cannot be measured in"),
        ({"of": "mgn/mgn han/hen"}, "which 'runs' cannot be measured in"),
        ({"measure": "gates", "of": "han/han video all"}, "'gates' cannot be measured in"),
        ({"measure": "gates", "of": "han/han video video"}, "'gates' cannot be measured in"),
        ({"measure": "epochs", "of": "han/han best"}, "'epochs' cannot be measured in"),
        ({"measure": "epochs", "of": ""}, "'epochs' cannot be measured in"),
        ({"measure": "seeds", "of": "han"}, "'seeds' cannot be measured in"),
        ({"measure": "size", "of": ""}, "'size' cannot be measured in"),
        ({"measure": "annotations", "of": "x"}, "'annotations' cannot be measured in"),
        ({"measure": "cells", "of": "mgn|Table 1"}, "'cells' cannot be measured in"),
        ({"measure": "no_effect"}, "measure is 'no_effect', but note does not say why"),
    ],
)
def test_a_wrong_row_is_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(AvvpError, match=re.escape(sentence)) as raised:
        read_differences(write(tmp_path, {**CHECKED._asdict(), "papers": "mgn", **changes}))
    assert str(tmp_path) in str(raised.value)


def test_an_id_that_stands_there_twice_is_refused(tmp_path):
    row = {**CHECKED._asdict(), "papers": "mgn"}
    assert read_differences(write(tmp_path, row)) == (CHECKED,)
    with pytest.raises(AvvpError, match="row 3: the id 'one' stands there twice"):
        read_differences(write(tmp_path, row, row, name="twice.csv"))


def test_other_columns_are_refused(tmp_path):
    path = tmp_path / "short.csv"
    path.write_text("id,part\none,code\n")
    with pytest.raises(AvvpError, match="the columns must be id, part, papers"):
        read_differences(path)
    path = write(tmp_path, {**CHECKED._asdict(), "papers": "mgn"})
    path.write_text(path.read_text() + "two,code\n")
    with pytest.raises(AvvpError, match="row 3: expected 13 columns"):
        read_differences(path)


def write(folder: Path, *rows: dict[str, str], name: str = "differences.csv") -> Path:
    path = folder / name
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, Difference._fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


# What follows


def test_without_runs_each_says_what_to_run_or_what_it_is(roots):
    differences = read_differences()
    found = effects(differences, **roots)
    for row in differences:
        effect = found[row.id]
        in_runs = row.measure in ("runs", "counts", "gates", "epochs", "seeds", "dropped")
        assert (effect.outcome == "not run") == in_runs, row.id
        assert ("avvp reproduce" in effect.told) == in_runs
        assert (effect.points is None) == (effect.outcome != "measured")
        assert effect.told.endswith(".")
    drawn = drawable(differences, found)
    sizes = [abs(effect.points) for _, effect in drawn]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) > 10


def test_two_experiments_are_compared_by_the_rule_of_claims(roots):
    seeds(roots["results"], "mgn/mgn", [60.0, 60.5, 61.0])
    seeds(roots["results"], "han/han", [50.0, 50.2, 50.4])
    effect = one(roots)
    assert effect.points == pytest.approx(10.3, abs=0.5)
    assert effect.clear and not effect.single
    assert effect.evidence == "trained anew"
    assert effect.world == "simulated LLP, full, 3 seeds"
    assert effect.told.endswith("points, Type@AV at segment level.")


def test_single_trainings_have_no_interval(roots):
    seeds(roots["results"], "mgn/mgn", [60.0])
    seeds(roots["results"], "han/han", [50.0, 50.2])
    effect = one(roots)
    assert effect.half_width is None and effect.single and not effect.clear
    assert effect.world == "simulated LLP, full, 1 and 2 seeds"


def test_a_rescored_network_is_no_new_training(roots):
    seeds(roots["results"], "mgn/mgn", [60.0], profile="medium")
    seeds(roots["results"], "mgn/as_printed", [20.0], profile="medium")
    effect = one(roots, of="mgn/mgn mgn/as_printed")
    assert effect.evidence == "same network" and not effect.single


def test_decision_rules_are_compared_seed_by_seed(roots):
    for seed, gain in enumerate((1.0, 2.0, 3.0), start=1):
        gates = np.zeros((3, len(METRICS)))
        gates[:, TYPE] = 50 + seed, 50 + seed - gain, 7
        store(roots["results"], "han/han", seed=seed, profile="medium", arrays={"gates": gates})
    effect = one(roots, measure="gates", of="han/han video modality")
    assert effect.points == pytest.approx(2.0)
    assert effect.half_width == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert effect.evidence == "same network"
    other = one(roots, measure="gates", of="han/han none video")
    assert other.points == pytest.approx(7 - 52)


def test_a_run_without_the_array_is_passed_over(roots):
    store(roots["results"], "han/han", profile="full")
    assert one(roots, measure="gates", of="han/han video modality").outcome == "not run"
    gates = np.ones((3, len(METRICS)))
    store(roots["results"], "han/han", profile="medium", arrays={"gates": gates})
    effect = one(roots, measure="gates", of="han/han video modality")
    assert effect.world == "simulated LLP, medium, 1 seed"


@pytest.mark.parametrize(("of", "points"), [("best last", 4.0), ("last best", -4.0)])
def test_the_choice_of_the_epoch(roots, of, points):
    history = {"history/val/segment/type_av": np.array([40.0, 54.0, 50.0])}
    store(roots["results"], "han/han", arrays=history)
    effect = one(roots, measure="epochs", of=f"han/han {of}")
    assert effect.points == points
    assert "on validation videos" in effect.told


def test_seeds_among_themselves(roots):
    for seed, mean in enumerate((50.0, 53.0, 51.0), start=1):
        store(roots["results"], "ma/cr", np.full((4, 10), mean, np.float16), seed=seed)
        if seed == 1:
            assert one(roots, measure="seeds", of="ma/cr").outcome == "not run"
    effect = one(roots, measure="seeds", of="ma/cr")
    assert effect.outcome == "settled" and effect.told.startswith("Up to 3.0 points between seeds")
    assert effect.points is None, "a range over seeds is no difference of two versions"


def test_labels_that_no_modality_keeps(roots):
    for seed, both in ((1, 3), (2, 5)):
        arrays = {"removed_both": np.array([both, 0]), "labels": np.array([30, 10])}
        arrays = {f"refinement/{name}": value for name, value in arrays.items()}
        store(roots["results"], "ma/cr", videos(50), seed=seed, arrays=arrays)
    effect = one(roots, measure="dropped", of="ma/cr", metric="")
    assert effect.outcome == "settled"
    assert effect.told == "3 to 5 of 40 labels (10.0 %) leave both modalities."


def test_printed_numbers_are_added_up(roots):
    term = "mgn|Table 1|MGN||segment/audio"
    effect = one(roots, measure="cells", of=f"+ {term} ; - mgn|Table 1|HAN||segment/audio")
    assert (effect.points, effect.evidence) == (0.6, "printed numbers")
    with pytest.raises(AvvpError, match=r"published\.csv has no row 'MGM'"):
        one(roots, measure="cells", of=f"+ {term.replace('MGN', 'MGM')}")


def test_printed_rows_are_compared_cell_by_cell(roots):
    effect = one(roots, measure="rows", of="mgn|Table 1|MGN| ; mgn_abstract|Table 1|MGN|")
    assert effect.told.startswith("6 of 10 scores differ, most by +0.2 points (Audio-visual at")


def test_ten_printed_means_are_none():
    broken = [mean for mean in printed_means() if mean.broken]
    assert len(broken) == 10
    assert {mean.place.row for mean in broken} == {"MA"}
    worst = max(broken, key=lambda mean: abs(mean.apart))
    assert (worst.printed, round(worst.mean, 2)) == (58.9, 58.47)


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ("han", "4.74 million of 9.31 million stored numbers never run (50.9 %)"),
        ("ma", "7.10 million of 11.67 million stored numbers never run (60.9 %)"),
        ("mgn", "None of its 4.37 million stored numbers is idle"),
        ("cross_modal basic", "4,096 of 7.01 million stored numbers never run (0.1 %)"),
    ],
)
def test_numbers_that_are_stored_and_never_used(roots, of, told):
    effect = one(roots, measure="idle", of=of)
    assert effect.outcome == "no effect" and effect.told.startswith(told)


def test_two_released_files_can_be_one_network(roots):
    assert one(roots, measure="same", of="main skip_gcaa").outcome == "no effect"
    different = one(roots, measure="same", of="main basic")
    assert different.outcome == "settled" and different.told.startswith("Apart by")


def test_facts_of_the_annotations(roots):
    repairs = one(roots, measure="annotations", of="repairs")
    assert repairs.points == pytest.approx(0.05, abs=0.001)
    assert one(roots, measure="annotations", of="silence").points == pytest.approx(8.36, abs=0.01)
    assert "1,849 in all" in one(roots, measure="annotations", of="videos").told
    events = one(roots, measure="annotations", of="events").told
    assert "MGN counts rows before the repair; the other paper is within 7 of pairs." in events


def test_how_far_chance_sets_two_runs_apart(roots):
    results = roots["results"]
    assert chance(results=results) is None
    spread = {"han/han": 1, "ma/c": 1, "mgn/hard_hard": 10, "reference/linear": 20}
    for name, apart in spread.items():
        means = (50, 50 + apart, 50 - apart)
        for seed, mean in enumerate(means, start=1):
            scores = np.full((4, 10), mean, np.float16)
            store(results, name, scores, seed=seed, profile="medium")
    # Three seeds have a variance of ln 2 in the median, if the true one is 1. Of the three that
    # learn, the median is 1: as one of 1 / ln 2, as sure as 6 (ln 2)^2 degrees of freedom.
    half = np.log(2)
    expected = stats.t.ppf(0.975, 6 * half**2) * (2 / half) ** 0.5
    assert chance(results=results) == pytest.approx(expected, rel=1e-6)


def test_what_is_measured_together_is_drawn_once(roots):
    cells = "+ mgn|Table 1|MGN||segment/audio"
    rows = [
        CHECKED._replace(id=name, measure="cells", of=of)
        for name, of in (("a", cells), ("b", cells), ("c", cells.replace("audio", "visual")))
    ]
    found = effects(rows, **roots)
    assert [row.id for row, _ in drawable(rows, found)] == ["a", "c"]


def test_the_table_says_where_runs_come_from_and_why_nothing_is_measured(roots):
    seeds(roots["results"], "mgn/mgn", [60.0])
    seeds(roots["results"], "han/han", [50.0])
    idle = CHECKED._replace(id="two", measure="no_effect", of="", note="Nothing calls it.")
    idle = idle._replace(here="Left out")
    rows = [CHECKED._replace(note="More differs."), idle]
    table = differences_table(rows, effects(rows, **roots), caption="Flags.")
    assert table.startswith("Flags. This book does as released, unless a row says otherwise. Runs:")
    assert "simulated LLP, full, 1 seed.\n\n| Subject | Paper | Release, or files |" in table
    assert "| {doc}`A flag <10_grouping>` (5.3.1) | yes | no | " in table
    assert "level. More differs. |" in table
    assert "| None: nothing calls it. *Here: left out.* |" in table
    for here in ("MGN's loss", "HAN's file", "R(2+1)D-18", "F-score"):
        named = [idle._replace(here=here)]
        assert f"*Here: {here}.*" in differences_table(named, effects(named, **roots), caption="")
    contradiction = [idle._replace(part="paper")]
    table = differences_table(contradiction, effects(contradiction, **roots), caption="")
    assert "| In one place | In another |" in table


def test_stale_runs_are_not_shown(roots):
    for seed in (1, 2):
        store(roots["results"], "ma/cr", seed=seed, configuration={"from": "long ago"})
    assert one(roots, measure="seeds", of="ma/cr").outcome == "not run"


def test_scores_by_name():
    assert metric_name("event/audio_visual") == "Audio-visual at event level"
    assert metric_name("event/audio/recall") == "Audio recall at event level"
    assert set(AUTHORS) == {"han", "mgn", "mgn_abstract", "mgn_supp", "ma", "cross_modal"}
