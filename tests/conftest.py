"""Where the tests find the golden numbers and, where it is, the folder ../shared."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
GOLDEN = ROOT / "tests" / "parity" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared; without it the test is skipped, or fails if it is required."""
    if not SHARED.is_dir():
        reason = f"{SHARED} is not there: real LLP annotations are needed"
        if os.environ.get("AVVP_REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden numbers, committed."""
    return GOLDEN


@pytest.fixture
def cut_off(monkeypatch) -> Callable[..., AbstractContextManager[None]]:
    """``with cut_off(module, "step", after=3)``: the fourth call of module.step is never made."""

    @contextmanager
    def until(module: ModuleType, name: str, *, after: int) -> Iterator[None]:
        whole, calls = getattr(module, name), iter(range(after))

        def mortal(*arguments: object, **options: object) -> object:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return whole(*arguments, **options)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module, name, mortal)
            yield

    return until
