"""Every printed table and figure has a place in the book that really makes it."""

import re

import pytest

from avvp.published import published_items, published_rows
from avvp.tables import experiments_of, item_table
from tests.book.conftest import ROOT

ITEMS = published_items()


def source(chapter: str) -> str:
    return (ROOT / "notebooks" / f"{chapter}.py").read_text("utf-8")


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
    assert set(tables) <= printed


def test_ids_are_unique_and_of_the_inventory(shared):
    ids = [item.id for item in ITEMS]
    assert len(ids) == len(set(ids))
    text = (shared / "published" / "inventory.md").read_text("utf-8")
    listed = re.findall(r"^\| \d+ \| ((?:MGN|MGNA|SUPP|MA|CM)-[TF]\d+) \|", text, re.MULTILINE)
    assert set(ids) <= set(listed)


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
