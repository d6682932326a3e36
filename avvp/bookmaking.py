"""Make the book: execute every chapter, then render the pages with warnings as errors.

A chapter is ``notebooks/NN_slug.py``, a notebook in Jupytext's percent format with one cell of
parameters. It is executed into ``book/NN_slug.ipynb`` with the repository as working folder; what
is left in the file is what the page needs and nothing that changes from one execution to the next.
Chapters whose number is 90 or more report on the build itself and come last.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import papermill
import yaml
from joblib import Parallel, delayed, parallel_config
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode, from_dict, writes
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from avvp.atomic import atomic_path, write_text
from avvp.errors import AvvpError
from avvp.experiments import get_profile, open_source
from avvp.tables import THIS_BUILD

Parameters = Mapping[str, str | int]

IMAGE_SUFFIXES = {"image/svg+xml": ".svg", "image/png": ".png"}
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_REPORT = 90  # chapters from this number on report on the build
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


class Record(NamedTuple):
    """What the status page says of one executed chapter."""

    chapter: str
    seconds: float
    parameters: dict[str, str | int]
    python: str
    fingerprint: str


def chapters(root: Path) -> list[Path]:
    """The sources of all chapters, in order.

    Raises:
        AvvpError: there is none: ``root`` is no checkout of the repository.
    """
    found = sorted((root / "notebooks").glob("[0-9][0-9]_*.py"))
    if not found:
        raise AvvpError(
            f"There is no chapter notebooks/NN_slug.py in {root.resolve()}: the book is made in a "
            "checkout of the repository, not from an installed package."
        )
    return found


def _is_report(source: Path) -> bool:
    return int(source.name[:2]) >= _REPORT


def read_chapter(source: Path) -> NotebookNode:
    """Read a percent script as a notebook whose cells have the same ids every time."""
    notebook = jupytext.read(source, fmt="py:percent")
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    notebook.metadata["kernelspec"] = dict(_KERNEL)
    return notebook


def checked_parameters(
    notebook: NotebookNode, parameters: Mapping[str, str | int], name: str
) -> dict[str, str | int]:
    """``parameters`` with the types that the chapter declares.

    Raises:
        AvvpError: the chapter has no such parameter, or the value is of another type.
    """
    declared = papermill.inspect_notebook(notebook)
    checked: dict[str, str | int] = {}
    for parameter, value in parameters.items():
        if parameter not in declared:
            known = ", ".join(declared) or "none"
            raise AvvpError(f"Chapter {name} has no parameter {parameter!r}; it has: {known}.")
        kind = declared[parameter]["inferred_type_name"]
        if kind == "int" and not isinstance(value, int):
            try:
                value = int(value)
            except ValueError:
                raise AvvpError(
                    f"Parameter {parameter!r} of chapter {name} is a whole number, not {value!r}."
                ) from None
        checked[parameter] = value
    return checked


def execute(
    source: Path, parameters: Parameters, *, root: Path, log: Path | None = None
) -> NotebookNode:
    """Execute one chapter and return it, tidied.

    Args:
        source: the percent script.
        parameters: replace the values of its parameters cell.
        root: working folder of the cells.
        log: gets the traceback if a cell fails.

    Raises:
        AvvpError: an unknown parameter, or the cell that failed and how.
    """
    notebook = read_chapter(source)
    parameters = checked_parameters(notebook, parameters, source.stem)
    try:
        executed = papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(parameters),
            cwd=root,
            kernel_name="python3",
            progress_bar=False,
            # Failures are reported below; the rest of what a kernel logs is not for a reader.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        where = ""
        if log is not None:
            text = f"{error.source}\n\n" + "\n".join(error.traceback)
            write_text(log, _COLOUR_CODES.sub("", text) + "\n")
            where = f" (the traceback is in {log})"
        message = _COLOUR_CODES.sub("", str(error.evalue)).strip().rstrip(".")
        raise AvvpError(
            f"Chapter {source.stem} stopped in cell {error.exec_count}: "
            f"{error.ename}: {message}{where}."
        ) from None
    except DeadKernelError:
        raise AvvpError(
            f"Chapter {source.stem} stopped because its process was killed, most likely for want "
            "of memory: choose a smaller profile or execute one chapter at a time (--jobs 1)."
        ) from None
    return tidy(executed)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Keep what a page needs: cells, outputs, and of the metadata ``tags`` and ``mystnb``.

    papermill puts the values of this execution in a cell after the parameters cell; only that one
    is kept, folded away, so that nobody reads a default that was not used.
    """
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    injected = any("injected-parameters" in cell_tags for cell_tags in tags)
    cells = []
    for cell, cell_tags in zip(notebook.cells, tags, strict=True):
        if injected and "parameters" in cell_tags:
            continue
        metadata: dict[str, Any] = {}
        if "injected-parameters" in cell_tags or "parameters" in cell_tags:
            metadata["tags"] = ["parameters", "hide-cell"]
            metadata["mystnb"] = {"code_prompt_show": "Parameters of this execution"}
        elif cell_tags:
            metadata["tags"] = [*cell_tags]
        if "mystnb" in cell.metadata:
            metadata["mystnb"] = cell.metadata["mystnb"]
        cells.append({**cell, "id": f"cell-{len(cells)}", "metadata": metadata})
    metadata = {"kernelspec": dict(_KERNEL), "language_info": {"name": "python"}}
    return from_dict({**notebook, "cells": cells, "metadata": metadata})


def images(cell: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """The pictures a cell shows: file name suffix and content, the sharpest form of each."""
    found = []
    for output in cell.get("outputs", []):
        for mime, suffix in IMAGE_SUFFIXES.items():
            if mime in output.get("data", {}):
                data = output["data"][mime]
                found.append((suffix, b64decode(data) if suffix == ".png" else data.encode()))
                break
    return found


def table_rows(notebook: NotebookNode) -> list[list[str]]:
    """The cells of every row of every table that the outputs show."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for line in output.get("data", {}).get("text/markdown", "").splitlines()
        if line.startswith("|")
    ]


def defects(notebook: NotebookNode, *, source: str | None = None) -> list[str]:
    """What must not be in an executed chapter, one sentence each; an empty list is good.

    Args:
        notebook: as executed.
        source: what this build's numbers are measured on, as
            :attr:`avvp.experiments.Source.in_words` says it; a table that says otherwise of them
            is a defect. None: not looked at.
    """
    found = []
    if source is not None:
        found += [
            f"a table says {told!r}, and this build's data is {source}"
            for row in table_rows(notebook)
            for told in row
            if told.startswith(THIS_BUILD) and not told.startswith(f"{THIS_BUILD}{source}, ")
        ]
    for number, cell in enumerate(notebook.cells, start=1):
        if cell["cell_type"] != "code" or not cell["source"].strip():
            continue
        if cell["execution_count"] is None:
            found.append(f"cell {number} was not executed")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"cell {number} shows the error {output['ename']}")
            if output["output_type"] == "stream" and output["name"] == "stderr":
                found.append(f"cell {number} writes to stderr: {output['text'].strip()[:200]!r}")
        pictures = len(images(cell))
        if pictures > 1:
            found.append(f"cell {number} shows {pictures} pictures; one has room for one caption")
        if pictures:
            mystnb = cell["metadata"].get("mystnb", {})
            figure = mystnb.get("figure", {})
            said = {
                "name": figure.get("name"),
                "caption": figure.get("caption"),
                "alternative text": mystnb.get("image", {}).get("alt"),
            }
            missing = [what for what, text in said.items() if not (text or "").strip()]
            if missing:
                found.append(f"the figure of cell {number} has no {', no '.join(missing)}")
    return found


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write ``notebook`` to ``path``, completely or not at all."""
    write_text(path, writes(notebook) + "\n")


def _export_figures(notebook: NotebookNode, folder: Path) -> None:
    """Write every named figure as ``folder/NAME.svg`` (or ``.png``), for pages without cells."""
    for cell in notebook.cells:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        for suffix, content in images(cell) if name else ():
            with atomic_path(folder / f"{name}{suffix}") as temporary:
                temporary.write_bytes(content)


def _digest(files: Iterable[Path], root: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root)} {content}\n".encode())
    return total.hexdigest()


def _files_read(root: Path, *, trained: bool) -> list[Path]:
    """The files that chapters read: of the package, of results, and what examples show.

    Args:
        root: the checkout.
        trained: whether the profile trains, so that a chapter shows runs that are not committed.
    """
    folders = ("avvp", "results", "examples", "tests/parity/golden")
    found = [file for folder in folders for file in (root / folder).rglob("*") if file.is_file()]
    if trained:
        # Beside them lie gigabytes of weights, which no chapter opens.
        found += [file for kind in ("json", "npz") for file in (root / "runs").rglob(f"*.{kind}")]
    return [f for f in found if "__pycache__" not in f.parts and not f.name.startswith(".")]


def _everything_read(root: Path, parameters: Parameters) -> str:
    """A digest of what any chapter can depend on besides its own source."""
    data = str(parameters.get("data"))
    files = _files_read(root, trained=parameters.get("profile") != "published")
    state = Path(data).stat() if Path(data).is_file() else None
    return json.dumps(
        [
            _digest(files, root),
            dict(sorted(parameters.items())),
            [state.st_size, state.st_mtime_ns] if state else [],
            sorted(item for item in os.environ.items() if item[0].startswith("AVVP_")),
        ]
    )


def _record_path(root: Path, source: Path) -> Path:
    return root / "_build" / "chapters" / f"{source.stem}.json"


def read_records(root: Path) -> list[Record]:
    """What is known of the chapters that were executed here, in order."""
    paths = (_record_path(root, source) for source in chapters(root))
    return [Record(**json.loads(path.read_text("utf-8"))) for path in paths if path.is_file()]


def _execute_to_page(
    source: Path, parameters: Parameters, fingerprint: str, root: Path, told: str
) -> str | None:
    """Execute a chapter, check it, and write its page and record; returns what went wrong."""
    record = _record_path(root, source)
    record.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        log = record.with_suffix(".traceback.txt")
        notebook = execute(source, parameters, root=root, log=log)
    except AvvpError as error:
        return str(error)
    seconds = time.monotonic() - started
    found = defects(notebook, source=told)
    if found:
        return f"Chapter {source.stem} is not fit to show: {'; '.join(found)}."
    write_notebook(notebook, root / "book" / f"{source.stem}.ipynb")
    _export_figures(notebook, root / "book" / "_figures")
    content = Record(
        chapter=source.stem,
        seconds=round(seconds, 1),
        parameters=dict(parameters),
        python=platform.python_version(),
        fingerprint=fingerprint,
    )
    write_text(record, json.dumps(content._asdict(), indent=1) + "\n")
    return None


def execute_chapters(
    root: Path, parameters: Parameters, *, force: bool = False, jobs: int = 2
) -> list[str]:
    """Bring ``book/NN_slug.ipynb`` of every chapter up to date, at most ``jobs`` at a time.

    A chapter is executed again only if its source, the parameters, the package or the results
    changed since, or with ``force``.

    Returns:
        the names of the chapters that were executed.

    Raises:
        AvvpError: with one sentence a chapter that failed; the others are written all the same.
    """
    executed, failures = [], []
    everything = chapters(root)
    told = open_source(parameters["data"], get_profile(parameters["profile"])).in_words
    for stage in (
        [source for source in everything if not _is_report(source)],
        [source for source in everything if _is_report(source)],
    ):
        read = _everything_read(root, parameters)
        if stage and _is_report(stage[0]):
            read += json.dumps(
                [record for record in read_records(root) if int(record.chapter[:2]) < _REPORT]
            )
        due = []
        for source in stage:
            fingerprint = hashlib.sha256(source.read_bytes() + read.encode()).hexdigest()
            page = root / "book" / f"{source.stem}.ipynb"
            record = _record_path(root, source)
            known = record.is_file() and json.loads(record.read_text("utf-8"))["fingerprint"]
            if force or not page.is_file() or known != fingerprint:
                due.append((source, fingerprint))
        workers = max(1, min(jobs, len(due)))
        # Cells share the cores: a kernel a core beats two kernels that each want all of them.
        threads = max(1, (os.cpu_count() or 1) // workers)
        with parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=threads):
            outcomes = Parallel(return_as="generator")(
                delayed(_execute_to_page)(source, parameters, fingerprint, root, told)
                for source, fingerprint in due
            )
            failures += filter(None, tqdm(outcomes, "chapters", len(due), disable=not due))
        executed += [source.stem for source, _ in due]
        if failures:
            raise AvvpError(" ".join(failures))
    return executed


def pages(root: Path) -> list[str]:
    """Every page that ``_toc.yml`` names, without suffix, the front page first."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))

    def files(node: Any) -> Iterable[str]:
        if isinstance(node, Mapping):
            for key, value in node.items():
                if key in ("root", "file"):
                    yield value
                else:
                    yield from files(value)
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for value in node:
                yield from files(value)

    return list(files(toc))


def render(root: Path) -> Path:
    """Render the pages from nothing, warnings being errors; returns the front page.

    Raises:
        AvvpError: Sphinx warned of something, or a page is missing.
    """
    build = root / "_build"
    for folder in ("html", ".doctrees", "jupyter_execute"):
        shutil.rmtree(build / folder, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(root)]
    finished = subprocess.run(
        [*command, "-W", "--keep-going", "-n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    output = _COLOUR_CODES.sub("", finished.stdout)
    log = build / "sphinx.log"
    write_text(log, output)
    warnings = [line for line in output.splitlines() if re.search(r"WARNING|ERROR|Error:", line)]
    if finished.returncode or warnings:
        print("\n".join(warnings or output.splitlines()[-20:]), file=sys.stderr)
        raise AvvpError(
            f"The book was not rendered: {len(warnings)} warnings, printed above (all of it is in "
            f"{log}); correct them and make the book again."
        )
    html = build / "html"
    absent = [page for page in pages(root) if not (html / f"{page}.html").is_file()]
    if absent:
        raise AvvpError(f"The book was rendered without {', '.join(absent)}; see {log}.")
    return html / f"{pages(root)[0]}.html"
