"""What the README promises: its example runs, its links lead somewhere, its profiles exist."""

import ast
import os
import re
import subprocess
import sys

from avvp.experiments import PROFILES
from tests.book.conftest import ROOT, copy_tree

README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "add_a_method.py"


def test_the_example_is_the_file_and_short():
    (shown,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert shown == EXAMPLE.read_text("utf-8")
    assert len(shown.splitlines()) <= 40


def test_the_example_runs(tmp_path):
    tree = copy_tree(tmp_path)
    finished = subprocess.run(
        [sys.executable, "examples/add_a_method.py", "smoke"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    scores = ast.literal_eval(finished.stdout)
    assert len(scores) == 10
    assert all(0 <= score <= 100 for score in scores.values())
    assert (tree / "runs" / "sim" / "smoke" / "mine" / "surest" / "seed-1.json").is_file()


def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / link).is_file()]


def test_the_profiles_are_those_of_the_code():
    table = {
        name: sizes for name, sizes in re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+?) \|", README, re.M)
    }
    assert list(table) == list(PROFILES)
    for name, sizes in table.items():
        profile = PROFILES[name]
        if profile.seeds:
            assert sizes.startswith(f"{profile.train:,} / {profile.val:,} / {profile.test:,}")


def test_a_checkout_runs_its_own_command(tmp_path):
    """Whatever is installed: a machine that is lent for minutes has the packages, not this one."""
    tree = copy_tree(tmp_path)

    def told(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "avvp", *arguments]
        return subprocess.run(command, cwd=tree, capture_output=True, text=True)

    version = tree / "avvp" / "__init__.py"
    version.write_text(version.read_text("utf-8") + '\n__version__ = "of this checkout"\n')
    assert told("--version").stdout == "avvp of this checkout\n"
    mistaken = told("reproduce", "--profile", "huge")
    assert mistaken.returncode == 2
    assert mistaken.stderr.startswith("avvp: There is no profile 'huge'")


def test_commands_name_options_that_exist():
    """Every ``avvp GROUP ACTION`` of these files and of the pages is understood by the parser."""
    from avvp.cli import parser

    pages = [ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("book/*.md"))]
    texts = [README, *(page.read_text("utf-8") for page in pages)]
    called = r"^\s*(?:timeout \d+ )?(?:python -m )?avvp ([^#\n]+)"
    commands = {command for text in texts for command in re.findall(called, text, flags=re.M)}
    assert len(commands) >= 8
    for command in commands:
        words = [word.strip("'") for word in command.split()]
        parser().parse_args(words)
