"""The sources of the chapters, and the chapters as executed."""

import ast

import nbformat
import pytest

from avvp.bookmaking import chapters, defects, pages, read_chapter, read_records
from tests.book.conftest import ROOT

# The first test that asks for a book waits until it is made.
pytestmark = pytest.mark.timeout(1800)

SOURCES = chapters(ROOT)
PARAMETERS = 'profile: str = "published"\ndata: str = "sim"\nseeds: int = 1\ndevice: str = "auto"'

each_chapter = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def test_the_contents_list_every_chapter_and_page_once():
    listed = pages(ROOT)
    assert len(listed) == len(set(listed))
    assert {page for page in listed if page[5].isdigit()} == {f"book/{s.stem}" for s in SOURCES}
    written = {
        str(p.relative_to(ROOT).with_suffix("")) for p in (ROOT / "book").rglob("[!0-9]*.md")
    }
    assert {page for page in listed if not page[5].isdigit()} == written


@each_chapter
def test_source(source):
    notebook = read_chapter(source)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    assert prose[0].source.startswith("# "), "a chapter begins with its title"
    assert any(line.startswith("## ") for cell in prose for line in cell.source.splitlines())
    tagged = [cell.source for cell in code if "parameters" in cell.metadata.get("tags", ())]
    assert tagged == [PARAMETERS]
    for cell in code:
        tree = ast.parse("\n".join(line for line in cell.source.splitlines() if line[:1] != "%"))
        classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        assert not classes, "code with classes belongs into the package"


@each_chapter
def test_cell_ids_are_stable(source):
    assert [c.id for c in read_chapter(source).cells] == [c.id for c in read_chapter(source).cells]


def check_chapters(book, profile):
    for source in SOURCES:
        notebook = nbformat.read(book.root / "book" / f"{source.stem}.ipynb", as_version=4)
        nbformat.validate(notebook)
        assert defects(notebook) == [], source.stem
        told = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
        assert len(told) == 1 and f'profile = "{profile}"' in told[0].source
        for cell in notebook.cells:
            assert set(cell.metadata) <= {"tags", "mystnb"}, "metadata that changes by the hour"
    timed = {record.chapter for record in read_records(book.root)}
    assert timed == {source.stem for source in SOURCES}


def test_executed_chapters_of_the_published_book(published_book):
    check_chapters(published_book, "published")


def test_executed_chapters_of_a_book_that_trains(smoke_book):
    check_chapters(smoke_book, "smoke")


def test_figure_names_are_unique(published_book):
    names = []
    for source in SOURCES:
        notebook = nbformat.read(
            published_book.root / "book" / f"{source.stem}.ipynb", as_version=4
        )
        names += [
            cell.metadata["mystnb"]["figure"]["name"]
            for cell in notebook.cells
            if "figure" in cell.metadata.get("mystnb", {})
        ]
    assert names and len(names) == len(set(names))
    for name in names:
        assert list((published_book.root / "book" / "_figures").glob(f"{name}.*"))
