"""Executing a chapter: parameters, failures, what is kept, and what is done again."""

import json

import nbformat
import pytest

from avvp import bookmaking
from avvp.bookmaking import defects, execute, execute_chapters, read_records
from avvp.errors import AvvpError

CHAPTER = """
# %% [markdown]
# # A chapter

# %% tags=["parameters"]
profile: str = "published"
data: str = "sim"
seeds: int = 1
device: str = "auto"

# %%
print(profile, seeds + 1)

# %%
{code}
"""
FIGURE = """
# %% mystnb={"figure": {"name": "fig-line", "caption": "A line."}, "image": {"alt": "A line."}}
import matplotlib.pyplot as plt
figure = plt.plot([1, 2])
"""
PARAMETERS = {"profile": "smoke", "data": "sim", "seeds": 2, "device": "auto"}


@pytest.fixture
def chapter(tmp_path):
    def write(code: str = "", *, name: str = "01_one"):
        source = tmp_path / "notebooks" / f"{name}.py"
        source.parent.mkdir(exist_ok=True)
        source.write_text(CHAPTER.replace("{code}", code))
        return source

    return write


def texts(notebook) -> list[str]:
    return [
        out["text"] for cell in notebook.cells for out in cell.get("outputs", ()) if "text" in out
    ]


def test_parameters_reach_the_cells_and_are_shown(chapter, tmp_path):
    notebook = execute(chapter(), PARAMETERS, root=tmp_path)
    assert texts(notebook) == ["smoke 3\n"]
    told = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    assert len(told) == 1 and 'profile = "smoke"' in told[0].source
    assert "hide-cell" in told[0].metadata["tags"]
    again = execute(chapter(), PARAMETERS, root=tmp_path)
    assert nbformat.writes(notebook) == nbformat.writes(again)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"colour": "red"}, "Chapter 01_one has no parameter 'colour'; it has: profile, data"),
        ({"seeds": "many"}, "'seeds' of chapter 01_one is a whole number, not 'many'"),
    ],
)
def test_wrong_parameters_are_one_sentence(chapter, tmp_path, parameters, sentence):
    with pytest.raises(AvvpError, match=sentence):
        execute(chapter(), parameters, root=tmp_path)


def test_a_failing_cell_is_named_and_its_traceback_kept(chapter, tmp_path):
    log = tmp_path / "log.txt"
    with pytest.raises(AvvpError, match=r"Chapter 01_one stopped in cell \d+: KeyError: 'lost'"):
        execute(chapter("{}['lost']"), PARAMETERS, root=tmp_path, log=log)
    assert "Traceback" in log.read_text()


def test_a_killed_process_is_explained(chapter, tmp_path):
    with pytest.raises(AvvpError, match="its process was killed"):
        execute(
            chapter("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), {}, root=tmp_path
        )


def test_defects_are_found(chapter, tmp_path):
    bare = FIGURE.replace(
        '{"figure": {"name": "fig-line", "caption": "A line."}, "image": {}}', "{}"
    )
    bare = "\n".join(line for line in bare.splitlines() if not line.startswith("# %%"))
    noisy = "import sys; print('careful', file=sys.stderr)\n\n# %%\n" + bare
    found = " / ".join(defects(execute(chapter(noisy), PARAMETERS, root=tmp_path)))
    assert "writes to stderr: 'careful'" in found
    assert "has no name, no caption, no alternative text" in found
    assert defects(execute(chapter(FIGURE), PARAMETERS, root=tmp_path)) == []


def test_defects_of_cells_without_or_with_failed_execution():
    cells = [
        nbformat.v4.new_code_cell("1"),
        nbformat.v4.new_code_cell(
            "1/0",
            execution_count=1,
            outputs=[nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="")],
        ),
    ]
    assert defects(nbformat.v4.new_notebook(cells=cells)) == [
        "cell 1 was not executed",
        "cell 2 shows the error ZeroDivisionError",
    ]


@pytest.mark.parametrize(("told", "right"), [("llp.h5", True), ("simulated LLP", False)])
def test_a_table_that_names_another_source_is_a_defect(told, right):
    table = f"Scores.\n\n| Method | Source |\n| --- | --- |\n| HAN | this build: {told}, full |\n"
    output = nbformat.v4.new_output("display_data", data={"text/markdown": table})
    cell = nbformat.v4.new_code_cell("table", execution_count=1, outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    wrong = f"a table says 'this build: {told}, full', and this build's data is llp.h5"
    assert defects(notebook, source="llp.h5") == ([] if right else [wrong])
    assert defects(notebook) == []


def test_only_what_changed_is_executed_again(chapter, tmp_path):
    (tmp_path / "avvp").mkdir()
    chapter("'one'", name="01_one")
    chapter("'status'", name="90_status")
    assert execute_chapters(tmp_path, PARAMETERS) == ["01_one", "90_status"]
    assert execute_chapters(tmp_path, PARAMETERS) == []
    chapter("'another'", name="01_one")
    assert "01_one" in execute_chapters(tmp_path, PARAMETERS)
    other = {**PARAMETERS, "profile": "published"}
    assert "01_one" in execute_chapters(tmp_path, other)
    results = tmp_path / "results" / "run.json"
    results.parent.mkdir()
    results.write_text("{}")
    assert "01_one" in execute_chapters(tmp_path, other)
    assert {record.chapter for record in read_records(tmp_path)} == {"01_one", "90_status"}


@pytest.mark.parametrize(
    "file",
    [
        "results/sim/full/han/han/seed-1.npz",
        "results/calibration/trials.jsonl",
        "avvp/package_data/clip_page.html",
        "tests/parity/golden/han.npz",
        "examples/on_slurm.py",
        "runs/sim/smoke/han/han/seed-1.npz",
    ],
)
def test_any_file_that_chapters_read_makes_them_due(tmp_path, file):
    path, published = tmp_path / file, PARAMETERS | {"profile": "published"}
    path.parent.mkdir(parents=True)
    before = [bookmaking._everything_read(tmp_path, p) for p in (PARAMETERS, published)]
    path.write_bytes(b"arrays")
    added = [bookmaking._everything_read(tmp_path, p) for p in (PARAMETERS, published)]
    path.write_bytes(b"others")
    changed = [bookmaking._everything_read(tmp_path, p) for p in (PARAMETERS, published)]
    assert len({before[0], added[0], changed[0]}) == 3
    # What is not committed is not in the published book.
    assert len({before[1], added[1], changed[1]}) == (1 if file.startswith("runs/") else 3)


def test_what_no_chapter_reads_makes_none_due(tmp_path):
    before = bookmaking._everything_read(tmp_path, PARAMETERS)
    for file in ("avvp/__pycache__/a.pyc", "runs/sim/seed-1/selected.pt", "results/.a.json.x.part"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_bytes(b"1")
    assert bookmaking._everything_read(tmp_path, PARAMETERS) == before


def test_a_chapter_that_fails_leaves_the_others_and_no_page(chapter, tmp_path):
    chapter("raise ValueError('no luck')", name="01_one")
    chapter("'fine'", name="02_two")
    with pytest.raises(AvvpError, match="ValueError: no luck"):
        execute_chapters(tmp_path, PARAMETERS)
    assert [page.name for page in (tmp_path / "book").iterdir()] == ["02_two.ipynb"]
    assert [record.chapter for record in read_records(tmp_path)] == ["02_two"]


def test_pages_are_read_from_the_contents(tmp_path):
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n"
        "- caption: One\n  chapters:\n  - file: book/a\n    sections:\n    - file: book/b\n"
    )
    assert bookmaking.pages(tmp_path) == ["book/index", "book/a", "book/b"]


def test_a_folder_without_chapters_is_refused(tmp_path):
    with pytest.raises(AvvpError, match="There is no chapter"):
        execute_chapters(tmp_path, PARAMETERS)


def test_a_warning_stops_the_book(tmp_path):
    (tmp_path / "_config.yml").write_text("title: T\nonly_build_toc_files: true\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (tmp_path / "index.md").write_text("# Title\n\nSee {doc}`nowhere`.\n")
    with pytest.raises(AvvpError, match=r"not rendered: \d+ warnings"):
        bookmaking.render(tmp_path)
    (tmp_path / "index.md").write_text("# Title\n\nSee nothing.\n")
    assert bookmaking.render(tmp_path) == tmp_path / "_build" / "html" / "index.html"


def test_records_are_plain_json(chapter, tmp_path):
    chapter()
    execute_chapters(tmp_path, PARAMETERS)
    content = json.loads((tmp_path / "_build" / "chapters" / "01_one.json").read_text())
    assert content["parameters"] == PARAMETERS and content["seconds"] > 0
