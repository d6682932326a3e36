"""The inputs of all golden numbers."""

import pytest
from torch import Tensor

from avvp.parity import rule_inputs


@pytest.fixture(scope="session")
def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Audio, visual_2d, visual_3d and labels, by rule."""
    return rule_inputs()
