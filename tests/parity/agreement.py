"""How closely our networks have to agree with the releases, and the two longest comparisons."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from avvp.events import Parsing
from avvp.losses import Objective, weak_targets
from avvp.models.released import released_name

PROBABILITY, LOSS, GRADIENT, ZERO_GRADIENT, TRAJECTORY = 5e-6, 1e-5, 1e-4, 1e-6, 1e-4


def check_gradients(
    family: str, network: nn.Module, archive: Mapping[str, np.ndarray], prefix: str = ""
) -> set[str]:
    """Every parameter's gradient has the released norm; the names of those that are zero."""
    names, norms = (archive[f"{prefix}grad_{what}"].tolist() for what in ("names", "norms"))
    wanted = dict(zip(names, norms, strict=True))
    zero = set(archive[f"{prefix}zero_grad_names"].tolist())
    found = {released_name(family, n): p.grad.norm().item() for n, p in network.named_parameters()}
    assert set(found) == set(wanted)
    for name, norm in found.items():
        allowed = ZERO_GRADIENT if name in zero else GRADIENT * wanted[name]
        assert abs(norm - wanted[name]) < allowed, name
    return zero


def check_five_steps(
    network: nn.Module,
    objective: Objective,
    inputs: tuple[Tensor, ...],
    archive: Mapping[str, np.ndarray],
    prefix: str = "",
) -> Parsing:
    """Five steps of Adam in double precision lose as the release did; the parsing after them."""
    *features, labels = inputs
    network, features = network.double(), [x.double() for x in features]
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    targets, losses = weak_targets(labels), []
    for _ in range(5):
        optimizer.zero_grad()
        total, _ = objective(network(*features), targets)
        losses.append(total.item())
        total.backward()
        optimizer.step()
    parsing = network(*features)
    losses.append(objective(parsing, targets)[0].item())
    np.testing.assert_allclose(losses, archive[f"{prefix}loss_traj"], atol=TRAJECTORY, rtol=0)
    return parsing
