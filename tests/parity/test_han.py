"""HAN agrees with the released network on rule-made weights and inputs."""

import re

import numpy as np
import pytest
import torch

from avvp.errors import AvvpError
from avvp.losses import Objective, weak_targets
from avvp.models import build, load_released
from avvp.models.released import count_elements
from avvp.parity import names_and_shapes, open_golden, rule_state
from tests.parity.agreement import LOSS, PROBABILITY, check_five_steps, check_gradients


@pytest.fixture(scope="module")
def reference(golden):
    archive, meta = open_golden(golden, "han.npz")
    return archive, rule_state(names_and_shapes(archive), meta["norm_weight_names"])


def stacked(parsing):
    return torch.stack([parsing.segment_audio, parsing.segment_visual], dim=2)


def test_outputs(reference, inputs):
    archive, state = reference
    audio, visual_2d, visual_3d, _ = inputs
    network = load_released("han", state)
    with torch.no_grad():
        parsing = network(audio, visual_2d, visual_3d)
    for ours, key in (
        (parsing.video, "global_prob"),
        (parsing.audio, "a_prob"),
        (parsing.visual, "v_prob"),
        (stacked(parsing), "frame_prob"),
    ):
        np.testing.assert_allclose(ours.numpy(), archive[key], atol=PROBABILITY, rtol=0)


def test_pooled_frames_give_the_same_output(reference, inputs):
    audio, visual_2d, visual_3d, _ = inputs
    network = load_released("han", reference[1])
    pooled = visual_2d.unflatten(1, (10, 8)).mean(2)
    with torch.no_grad():
        frames, seconds = (network(audio, x, visual_3d) for x in (visual_2d, pooled))
    assert (stacked(frames) - stacked(seconds)).abs().max() < 1e-5


def test_loss_and_gradients(reference, inputs):
    archive, state = reference
    *features, labels = inputs
    assert np.array_equal(labels.numpy(), archive["labels"])
    network = load_released("han", state)
    total, parts = Objective()(network(*features), weak_targets(labels))
    total.backward()
    assert abs(total.item() - archive["loss"]) < LOSS
    ours = [parts[name].item() for name in ("audio", "visual", "video")]
    np.testing.assert_allclose(ours, archive["loss_parts"], atol=LOSS, rtol=0)
    check_gradients("han", network, archive)


def test_five_steps_of_adam(reference, inputs):
    archive, state = reference
    parsing = check_five_steps(load_released("han", state), Objective(), inputs, archive)
    for ours, key in (
        (stacked(parsing), "post5_frame_prob"),
        (parsing.video, "post5_global_prob"),
    ):
        np.testing.assert_allclose(ours.detach(), archive[key], atol=5e-3, rtol=0)


def test_the_never_used_half_is_named_and_counted(reference):
    archive, state = reference
    network = load_released("han", state)
    assert sorted(network.unused_released) == sorted(archive["nograd_names"].tolist())
    used = sum(p.numel() for p in network.parameters())
    assert (count_elements(state), used) == (9_307_723, 4_569_675)
    assert count_elements(state, network.unused_released) == 9_307_723 - 4_569_675


def test_wrappings_are_read(reference, inputs):
    state = reference[1]
    wrapped = {"state_dict": {f"module.{name}": value for name, value in state.items()}}
    with torch.no_grad():
        plain, unwrapped = (load_released("han", s)(*inputs[:3]).video for s in (state, wrapped))
    assert torch.equal(plain, unwrapped)


def test_build_and_load_released_return_the_same_class(reference):
    network = load_released("han", reference[1])
    assert type(network) is type(build("han"))
    assert not network.training


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.pop("fc_a.weight"), "lacks 'fc_a.weight'"),
        (lambda s: s.update({"fc_b.weight": torch.ones(1)}), "has 'fc_b.weight'"),
        (lambda s: s.update({"fc_a.bias": torch.ones(3)}), "has shape (3,); expected (512,)"),
        (lambda s: s.update({"fc_a.bias": 3.0}), "is a float; expected a tensor"),
    ],
)
def test_a_wrong_checkpoint_is_one_sentence(reference, change, sentence):
    state = dict(reference[1])
    change(state)
    with pytest.raises(AvvpError, match=re.escape(sentence)):
        load_released("han", state)


def test_unknown_names_are_one_sentence():
    with pytest.raises(AvvpError, match="no released family"):
        load_released("hann", {"a": torch.ones(1)})
    with pytest.raises(AvvpError, match="no model is called"):
        build("hann")
    with pytest.raises(AvvpError, match="has no option 'wide'"):
        build("han", wide=3)
