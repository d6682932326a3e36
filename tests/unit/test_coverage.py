"""Nothing that the papers print is left out: rows have experiments, figures have producers."""

import re
from collections import defaultdict

import pytest

from avvp.experiments import PROFILES, REGISTRY, is_current, rows_without_experiment
from avvp.published import Row, published_cells, published_items, published_rows
from avvp.results import RESULTS, find_runs
from avvp.tables import experiments_of, item_table
from tests.book.conftest import ROOT

ITEMS = published_items()


def source(chapter: str) -> str:
    return (ROOT / "notebooks" / f"{chapter}.py").read_text("utf-8")


ROWS = tuple(
    dict.fromkeys(
        cell.place
        for cell in published_cells()
        if cell.unit in ("F1 %", "MB") and cell.table != "text"
    )
)


@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_every_row_of_every_table_has_an_experiment(row):
    made = [experiment.name for experiment in REGISTRY.values() if row in experiment.rows]
    assert len(made) == 1, f"{made} regenerate {row}"


def test_an_experiment_names_only_rows_that_are_printed():
    printed = set(published_rows())
    for experiment in REGISTRY.values():
        assert set(experiment.rows) <= printed, experiment.name


def test_the_book_says_that_no_row_is_left_out():
    assert rows_without_experiment() == []


def test_every_row_has_committed_runs_of_all_seeds():
    medium = PROFILES["medium"]
    seeds = defaultdict(set)
    for run in find_runs(RESULTS, data="sim", profile="medium").values():
        if is_current(run):
            seeds[run.experiment].add(run.seed)
    wanted = set(range(1, medium.seeds + 1))
    lacking = {
        name: wanted - seeds[name]
        for name, experiment in REGISTRY.items()
        if experiment.rows and not wanted <= seeds[name]
    }
    assert not lacking


def test_names_for_the_same_network():
    """MA's baseline, and MGN without either grouping, are HAN."""
    same = Row("ma", "Table 2", "Baseline"), Row("mgn", "Table 2", "MGN", "CUG off, MCG off")
    assert set(same) <= set(REGISTRY["han/han"].rows)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_its_chapter_makes_it(item):
    text = source(item.chapter)
    if item.place.startswith("Table"):
        assert not item.figures
        # In the chapter that speaks about it, or whole; the whole tables name paper and table.
        assert f'whole("{item.paper}", "{item.place}")' in source("15_every_table")
        assert f'"{item.place}"' in text
        assert published_rows(item.paper, item.place)
    else:
        assert item.figures
        for name in item.figures:
            assert f'"name": "{name}"' in text


def test_every_printed_table_is_an_item():
    printed = {(row.paper, row.table) for row in published_rows() if row.table != "text"}
    tables = [(item.paper, item.place) for item in ITEMS if item.place.startswith("Table")]
    assert len(tables) == len(set(tables))
    assert set(tables) == printed


def test_ids_are_unique_and_of_the_inventory(shared):
    ids = [item.id for item in ITEMS]
    assert len(ids) == len(set(ids))
    text = (shared / "published" / "inventory.md").read_text("utf-8")
    listed = re.findall(r"^\| \d+ \| ((?:MGN|MGNA|SUPP|MA|CM)-[TF]\d+) \|", text, re.MULTILINE)
    assert set(ids) == set(listed)


def test_experiments_come_in_the_order_of_print():
    assert experiments_of("ma", "Table 4", level="segment") == [
        "ma/cr_temperature_0.1",
        "ma/cr",
        "ma/cr_temperature_0.3",
        "ma/cr_temperature_0.4",
    ]
    assert experiments_of("ma", "Table 4", level="event") == []


def test_the_table_of_items_points_into_the_book():
    told = item_table()
    assert told.count("\n| ") == len(ITEMS) + 2  # and the heading, and the line of dashes
    assert "{doc}`10_grouping`: {numref}`fig-mgn-tsne`" in told
