"""A book made as a stranger would make it: from the files git carries, in a folder of its own."""

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]

# Without these Chromium looks for its maker's servers, and as root it will not start at all.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Book:
    """A finished build: where it lies, and what the command printed."""

    root: Path
    output: str

    @property
    def html(self) -> Path:
        """The folder of the rendered pages."""
        return self.root / "_build" / "html"


def carried_by_git(root: Path) -> list[str]:
    """What a clone would hold once the working tree is committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    return sorted(
        name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()
    )


def copy_tree(target: Path) -> Path:
    """Copy the repository, without ignored files and without ../shared, to ``target``."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no telling which files belong to it")
    for name in carried_by_git(ROOT):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    return target


def avvp(tree: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line of the copy in ``tree``, without what this user has set up."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AVVP_")}
    return subprocess.run(
        [sys.executable, "-m", "avvp.cli", *arguments],
        cwd=cwd or tree,
        env={**bare, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )


def make_book(factory: pytest.TempPathFactory, profile: str) -> Book:
    """Make a book, or wait for the process that makes it: it takes minutes."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    tree, output = folder / profile / "avvp", folder / f"{profile}.txt"
    with FileLock(folder / f"{profile}.lock"):
        if not output.exists():
            assert not tree.exists(), f"the book of profile {profile} was not finished"
            finished = avvp(copy_tree(tree), "book", "build", "--profile", profile)
            assert finished.returncode == 0, finished.stderr
            output.write_text(finished.stdout, encoding="utf-8")
    return Book(tree, output.read_text("utf-8"))


@pytest.fixture(scope="session")
def published_book(tmp_path_factory) -> Book:
    """The whole book from committed results."""
    return make_book(tmp_path_factory, "published")


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory) -> Book:
    """The whole book with everything trained for a moment."""
    return make_book(tmp_path_factory, "smoke")


@pytest.fixture(scope="session")
def site(published_book) -> Iterator[str]:
    """The published book on a local server; the address of its root."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    handler = functools.partial(Quiet, directory=published_book.html)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; where there is none the test is skipped, or fails if it is required."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        reason = "no chromium on the path: pages cannot be looked at (apt-get install chromium)"
        if os.environ.get("CI") == "true" or os.environ.get("AVVP_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable, args=CHROMIUM_FLAGS, timeout=120_000
        )
        yield started
        started.close()
