"""Where the tests find the golden numbers and, where it is, the folder ../shared."""

import os
from pathlib import Path

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
