"""The order of the house: imports run one way, and the lists of packages agree."""

import ast
import json
import subprocess
import tomllib
from collections import defaultdict
from functools import partial
from graphlib import TopologicalSorter
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.book.conftest import ROOT

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "atomic", "memory", "checkpoints", "facts", "devices"),
    ("events", "metrics", "curves", "thresholds", "published", "later_work"),
    ("repair", "event_lengths"),
    ("data", "models", "losses", "results", "parity"),
    (
        "refinement",
        "grounding",
        "training",
        "together",
        "reference_lines",
        "calibration",
        "exchange",
        "oddities",
        "detection",
    ),
    ("scored",),
    ("embedding", "registry", "own_methods", "model_size", "worlds", "extraction"),
    (
        "time_left",
        "experiments",
        "ray_cluster",
        "cluster",
        "groups",
        "fan_out",
        "tables",
        "claims",
        "dependence",
    ),
    ("studies", "sweep", "differences", "measures", "significance"),
    ("completion", "model_card", "prediction"),
    ("bench", "costs"),
    ("figures", "cells", "bookmaking", "clip_page"),
    ("commands", "cli", "__main__"),
)
"""Modules of avvp; each imports from its own line and the lines above it."""

RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def modules() -> dict[str, Path]:
    files = sorted((ROOT / "avvp").rglob("*.py"))
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


def imports(source: str, known: set[str], *, lazy: bool = True) -> set[str]:
    """The modules of this package that a module imports, inside functions too if ``lazy``."""
    tree = ast.parse(source)
    found = set()
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports say the whole name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return found & known


def test_imports_run_one_way():
    known = modules()
    assert len(known) > 10
    wrong = []
    for name, file in known.items():
        if name == "avvp":
            continue
        place = name.split(".")[1]
        assert place in RANK, f"avvp/{place} has no line in LAYERS: give it one"
        for other in imports(file.read_text("utf-8"), set(known)) - {"avvp"}:
            if RANK[other.split(".")[1]] > RANK[place]:
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_no_import_goes_round_in_circles():
    known = modules()
    graph = {
        name: imports(file.read_text("utf-8"), set(known), lazy=False) - {name, "avvp"}
        for name, file in known.items()
    }
    # A package runs its __init__ before its modules: what that imports of itself is no circle.
    for name in graph:
        graph[name] -= {other for other in known if name.startswith(f"{other}.")}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import avvp.a", {"avvp.a"}),
        ("from avvp import a", {"avvp.a"}),
        ("from avvp.a import thing", {"avvp.a"}),
        ("def f():\n    from avvp.a import thing", {"avvp.a"}),
        ("import torch", set()),
    ],
)
def test_imports_are_seen(source, found):
    assert imports(source, {"avvp.a"}) == found


LOCKS = ("requirements.lock", "requirements-test.lock")


def locked(*locks: str) -> dict[str, str]:
    pins = {}
    for lock in locks:
        for line in (ROOT / lock).read_text("utf-8").splitlines():
            name, equals, number = line.partition("==")
            assert equals and number, f"{lock}: {line!r} is not NAME==VERSION"
            assert canonicalize_name(name) not in pins, f"{lock} pins {name}, which is pinned"
            pins[canonicalize_name(name)] = number
    return pins


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in (project["dependencies"], *extras) for text in group]


def test_the_lock_satisfies_what_the_package_asks_for():
    pins = locked(*LOCKS)
    for wanted in declared():
        name = canonicalize_name(wanted.name)
        assert name in pins, f"{wanted} is missing in requirements.lock: run make lock"
        assert wanted.specifier.contains(pins[name], prereleases=True), f"{wanted}: {pins[name]}"


@pytest.mark.parametrize("locks", [LOCKS[:1], LOCKS])
def test_the_lock_is_whole(locks):
    """Every dependency of a pinned package is pinned, so that ``--no-deps`` leaves no gap."""
    pins = locked(*locks)
    needed_by = defaultdict(list)
    for name in pins:
        for text in distribution(name).requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                needed_by[canonicalize_name(wanted.name)].append(name)
    # On a machine with a GPU PyTorch brings these itself, before the rest is installed.
    accelerator = ("nvidia-", "cuda-", "triton")
    # The package pathlib is one for Python 2.
    gaps = {name: who for name, who in needed_by.items() if name not in (*pins, "pathlib")}
    assert not {name: who for name, who in gaps.items() if not name.startswith(accelerator)}


def test_conda_and_pip_install_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["--requirement requirements.lock", "--editable ."]}
    python = next(Requirement(entry.replace("=", "==")) for entry in conda if "python" in entry)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    number = str(python.specifier).removeprefix("==")
    assert Requirement(f"python{project['requires-python']}").specifier.contains(f"{number}.0")
    # Whatever conda installed besides could differ from the lock.
    assert {entry.split("=")[0] for entry in conda} == {"python", "pip"}


def test_no_file_outside_the_tests_reads_a_folder_beside_the_repository():
    places = [*ROOT.glob("avvp/**/*.py"), *ROOT.glob("notebooks/*.py"), *ROOT.glob("book/**/*.md")]
    assert places
    beside = [
        str(path.relative_to(ROOT)) for path in places if "../shared" in path.read_text("utf-8")
    ]
    assert not beside


def test_what_was_measured_names_a_commit_of_this_history():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no history to look in")
    git = partial(subprocess.run, cwd=ROOT, capture_output=True, text=True, check=True)
    if git(["git", "rev-parse", "--is-shallow-repository"]).stdout.strip() == "true":
        pytest.skip("a shallow clone, which lacks the history to look in")
    known = set(git(["git", "rev-list", "HEAD"]).stdout.split())
    files = sorted((ROOT / "results").rglob("*.json"))
    commits = {file: json.loads(file.read_text("utf-8")).get("commit") for file in files}
    assert len(commits) > 300
    lost = [str(f) for f, commit in commits.items() if commit and commit not in known]
    assert not lost


def test_the_steps_on_a_file_of_the_size_of_llp_were_measured_on_all_chapters():
    measured = json.loads((ROOT / "results" / "bench" / "llp_size.json").read_text("utf-8"))
    assert measured["book"]["chapters"] == len(list((ROOT / "notebooks").glob("[0-9]*.py"))), (
        "run: python benchmarks/llp_size.py DIR --json results/bench/llp_size.json"
    )
