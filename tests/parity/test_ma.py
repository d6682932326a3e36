"""MA's base model, loss and exchange of tracks agree with the release on rule-made weights."""

import numpy as np
import pytest
import torch

from avvp.data.videos import Videos
from avvp.errors import AvvpError
from avvp.losses import ContrastiveObjective, contrast, weak_targets
from avvp.models import load_released
from avvp.models.han import HAN
from avvp.models.layers import segment_similarity
from avvp.models.released import count_elements
from avvp.parity import names_and_shapes, open_golden, rule_state
from avvp.refinement import exchanged
from tests.parity.agreement import LOSS, PROBABILITY, check_five_steps, check_gradients

TEMPERATURE = 0.2


@pytest.fixture(scope="module")
def reference(golden):
    archive, meta = open_golden(golden, "ma.npz")
    return archive, rule_state(names_and_shapes(archive), meta["norm_weight_names"])


def stacked(parsing):
    return torch.stack([parsing.segment_audio, parsing.segment_visual], dim=2)


def test_outputs_and_similarity(reference, inputs):
    archive, state = reference
    network = load_released("ma", state)
    with torch.no_grad():
        parsing = network(*inputs[:3])
    for ours, key in (
        (parsing.video, "global_prob"),
        (parsing.audio, "a_prob"),
        (parsing.visual, "v_prob"),
        (stacked(parsing), "frame_prob"),
        # The release stacks the rows of all videos: 10 b + t, so that the mask is t.
        (parsing.extras["similarity"].flatten(0, 1) / TEMPERATURE, "sims"),
    ):
        np.testing.assert_allclose(ours.numpy(), archive[key], atol=PROBABILITY, rtol=0)
    assert np.array_equal(archive["mask"], np.tile(np.arange(10), 4))


def test_the_other_direction_is_the_second_similarity_of_stage_two(reference, inputs):
    archive, state = reference
    network = load_released("ma", state)
    with torch.no_grad():
        before_audio, _, _, after_visual, _ = network.features(*inputs[:3])
    ours = segment_similarity(before_audio, after_visual).flatten(0, 1) * 5
    np.testing.assert_allclose(ours.numpy(), archive["step2_sims2"], atol=PROBABILITY, rtol=0)


def test_the_contrastive_loss_of_the_released_similarities(reference):
    archive, _ = reference
    similarity = torch.from_numpy(archive["sims"]).reshape(4, 10, 10) * TEMPERATURE
    assert abs(contrast(similarity).item() - archive["contrastive_loss"]) < LOSS


def test_loss_and_gradients(reference, inputs):
    archive, state = reference
    *features, labels = inputs
    assert np.array_equal(labels.numpy(), archive["labels"])
    network = load_released("ma", state)
    total, parts = ContrastiveObjective()(network(*features), weak_targets(labels))
    total.backward()
    assert abs(total.item() - archive["loss"]) < LOSS
    ours = [parts[name].item() for name in ("audio", "visual", "video", "contrastive")]
    np.testing.assert_allclose(ours, archive["loss_parts"], atol=LOSS, rtol=0)
    check_gradients("ma", network, archive)


def test_five_steps_of_adam(reference, inputs):
    archive, state = reference
    check_five_steps(load_released("ma", state), ContrastiveObjective(), inputs, archive)


def test_the_never_used_entries_are_named_and_counted(reference):
    archive, state = reference
    network = load_released("ma", state)
    assert type(network) is HAN
    assert sorted(network.unused_released) == sorted(archive["nograd_names"].tolist())
    assert len(network.unused_released) == 68
    used = sum(p.numel() for p in network.parameters())
    assert (count_elements(state), used) == (11_673_933, 4_569_675)


def test_a_han_checkpoint_is_also_one_of_ma_but_not_the_other_way_round(reference):
    _, state = reference
    with pytest.raises(AvvpError, match="which a 'han' checkpoint does not have"):
        load_released("han", state)
    theirs = ("t_att", "fc1.", "fc2.")
    plain = {name: value for name, value in state.items() if not name.startswith(theirs)}
    assert len(load_released("ma", plain).unused_released) == 44


def test_exchange_of_tracks(reference, inputs):
    archive, state = reference
    audio, visual_2d, visual_3d, labels = inputs
    videos = Videos(
        ids=tuple("abcd"),
        audio=audio,
        visual_2d=visual_2d,
        visual_3d=visual_3d,
        weak=labels.bool(),
        true_audio=None,
        true_visual=None,
        fingerprint="rule",
    )
    partners = (torch.arange(4)[:, None] - 1) % 4
    done = exchanged(load_released("ma", state), videos, partners, batch_size=3)
    for name, ours in done._asdict().items():
        np.testing.assert_allclose(ours, archive[f"swap_{name}"], atol=PROBABILITY, rtol=0)
