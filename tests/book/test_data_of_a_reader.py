"""Chapters made with a reader's own file: its runs stand in the tables, under its name."""

import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from avvp.bookmaking import defects, table_rows
from avvp.cli import main
from avvp.data.features import import_features
from avvp.data.simulate import SPLITS, SimulatorConfig, simulate
from avvp.data.stand_in import write_stand_in
from avvp.data.store import describe
from avvp.data.store_writer import write_videos
from avvp.experiments import PROFILES, REGISTRY
from avvp.results import RESULTS, find_runs, read_arrays, run_hash, write_run
from avvp.tables import THIS_BUILD
from tests.book.conftest import Book, avvp, copy_tree

pytestmark = pytest.mark.timeout(1800)

UNKNOWN_ON_LLP = ("absent", "right", "right_at", "example_true_audio", "example_true_visual")
CHAPTERS = ("09_modality_labels", "15_every_table", "21_run_it_on_llp")


def runs_that_never_happened(root: Path, file: Path, *, simulated: bool) -> set[str]:
    """Write committed runs under ``root`` as if they had been made on ``file``; returns what of."""
    profile, fingerprint = PROFILES["smoke"], describe(file, check=False).fingerprint
    names = set()
    for path, run in find_runs(RESULTS, data="sim", profile="medium", seed=1).items():
        experiment = REGISTRY.get(run.experiment)
        if experiment is None or experiment.simulated_only:
            continue
        configuration = experiment.configuration(profile)
        arrays = {
            key: value
            for key, value in read_arrays(path).items()
            if simulated or key.removeprefix("refinement/") not in UNKNOWN_ON_LLP
        }
        there = {"profile": profile.name, "data": file.name, "simulated": simulated}
        run = replace(
            run,
            **there,
            configuration=configuration,
            data_fingerprint=fingerprint,
            hash=run_hash(configuration, fingerprint, 1),
        )
        write_run(root, run, arrays)
        names.add(run.experiment)
    return names


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Book:
    """A copy of the repository, with a file of LLP's layout and a simulated one."""
    folder = tmp_path_factory.mktemp("reader")
    config = SimulatorConfig(train=12, val=4, test=4)
    import_features(*write_stand_in(folder, config), folder / "mine.h5", progress=False)
    splits = {split: simulate(config, split) for split in SPLITS}
    write_videos(folder / "simulated.h5", splits, {"source": "simulated"})
    shutil.rmtree(folder / "features")
    return Book(copy_tree(folder / "avvp"), "")


@pytest.mark.parametrize(
    ("name", "world"), [("mine.h5", "mine.h5"), ("simulated.h5", "simulated LLP")]
)
def test_tables_show_the_runs_of_this_build_under_the_name_of_their_data(tree, name, world):
    file = tree.root.parent / name
    ran = runs_that_never_happened(tree.root / "runs", file, simulated=world != name)
    for chapter in CHAPTERS if world == name else CHAPTERS[1:2]:
        out = tree.root / f"{chapter}.ipynb"
        given = ("-p", "data", str(file), "-p", "profile", "smoke", "--out", str(out))
        finished = avvp(tree.root, "book", "execute", chapter, *given)
        assert finished.returncode == 0, finished.stderr
        notebook = nbformat.read(out, as_version=4)
        assert defects(notebook, source=world) == []
        rows = table_rows(notebook)
        shown = [row for row in rows if any(cell.startswith(THIS_BUILD) for cell in row)]
        assert shown
        for row in shown:
            assert row[1] == f"{THIS_BUILD}{world}, smoke, 1 seed"
        for row in rows:
            for cell in row:
                if str(file) in cell:  # a command that would make the run
                    assert not any(f"--only {run} " in cell for run in (*ran, "reference/oracle"))
        for table in tables_of_scores(notebook):
            for part in table.split("F-scores in per cent at ")[1:]:
                caption, _, lines = part.partition("\n\n")
                told = f"{world}: trained and scored here".lower() in caption.lower()
                assert told == (THIS_BUILD in lines) or world != name


def test_a_chapter_is_executed_on_a_file_named_from_another_folder(tree):
    out = tree.root.parent / "elsewhere" / "chapter.ipynb"
    given = ("-p", "data", "mine.h5", "-p", "profile", "smoke", "--out", str(out))
    finished = avvp(tree.root, "book", "execute", "23_add_a_method", *given, cwd=tree.root.parent)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"wrote {out}\n"
    assert out.is_file()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("profile", "huge", "There is no profile 'huge'"),
        ("data", "nowhere.h5", "there is no data file nowhere.h5"),
        ("seeds", "0", "seeds is 0; it must be at least 1"),
        ("seeds", "many", "'seeds' of chapter 05_han is a whole number, not 'many'"),
        ("device", "abacus", "device 'abacus' is not on this machine"),
        ("colour", "red", "has no parameter 'colour'"),
    ],
)
def test_a_wrong_parameter_is_told_before_any_cell(name, value, sentence, tmp_path, capsys):
    out = tmp_path / "chapter.ipynb"
    assert main(["book", "execute", "05_han", "-p", name, value, "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert sentence in told.err and told.err.count("\n") == 1
    assert not told.out and not out.exists()


def test_a_folder_in_place_of_the_notebook_is_told_before_any_cell(tmp_path, capsys):
    assert main(["book", "execute", "05_han", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path} is a folder; name a file to write." in capsys.readouterr().err


def tables_of_scores(notebook: nbformat.NotebookNode) -> list[str]:
    """The outputs that hold one or several, each under its caption."""
    found = (
        output.get("data", {}).get("text/markdown", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    return [text for text in found if text.startswith("F-scores in per cent at ")]
