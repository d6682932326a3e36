"""AVG agrees with the released encoder, grounding losses and labels on rule-made weights."""

import numpy as np
import pytest
import torch

from avvp.errors import AvvpError
from avvp.grounding import connectivity, grounding_loss
from avvp.losses import Objective, weak_targets
from avvp.models import build, load_released
from avvp.models.avg import sinusoid
from avvp.models.layers import pool_frames
from avvp.models.released import count_elements
from avvp.parity import names_and_shapes, open_golden, rule_state
from tests.parity.agreement import LOSS, PROBABILITY, check_gradients

EMBEDDING = 2e-5
STREAMS = ("rgb", "audio", "r2p1d")


@pytest.fixture(scope="module")
def reference(golden):
    archive, meta = open_golden(golden, "cml.npz")
    shapes = names_and_shapes(archive, "uniter__")
    return archive, rule_state(shapes, meta["norm_weight_names"]["uniter"])


@pytest.fixture(scope="module", params=["uniter_sin__", "uniter_rule__"])
def variant(request):
    return request.param


def network_of(reference, variant):
    archive, state = reference
    if variant == "uniter_sin__":
        table = torch.from_numpy(archive["uniter_sinusoid"])
        places = [f"uniter.{stream}_embeddings.position_embeddings.weight" for stream in STREAMS]
        state = state | dict.fromkeys(places, table)
    return load_released("avg", state)


def pretraining_tokens(network, inputs):
    """As released: zeros for the 3D features, and no token reads theirs."""
    audio, visual_2d, visual_3d, _ = inputs
    return network.tokens(audio, visual_2d, torch.zeros_like(visual_3d), hide_visual_3d=True)


def test_outputs(reference, variant, inputs):
    archive, _ = reference
    with torch.no_grad():
        parsing = network_of(reference, variant)(*inputs[:3])
    for ours, key in (
        (parsing.video, "global_prob"),
        (parsing.audio, "a_prob"),
        (parsing.visual, "v_prob"),
        (torch.stack([parsing.segment_audio, parsing.segment_visual], dim=2), "frame_prob"),
    ):
        wanted = archive[f"{variant}{key}"]
        np.testing.assert_allclose(ours.numpy(), wanted, atol=PROBABILITY, rtol=0, err_msg=key)


def test_pooled_frames_give_the_same(reference, inputs):
    network = network_of(reference, "uniter_rule__")
    audio, visual_2d, visual_3d, _ = inputs
    with torch.no_grad():
        frames, pooled = (
            network(audio, visual, visual_3d) for visual in (visual_2d, pool_frames(visual_2d))
        )
    assert torch.equal(frames.video, pooled.video)


def test_tokens(reference, variant, inputs):
    archive, _ = reference
    with torch.no_grad():
        tokens = network_of(reference, variant).tokens(*inputs[:3])
    ours = torch.cat(tokens, dim=1).numpy()
    np.testing.assert_allclose(ours, archive[f"{variant}avg_embed"], atol=EMBEDDING, rtol=0)


def test_tokens_while_pre_training(reference, inputs):
    archive, _ = reference
    network = network_of(reference, "uniter_sin__")
    wanted = archive["uniter_sin__avg_embed_pretrain"]
    with torch.no_grad():
        hidden = pretraining_tokens(network, inputs)
        without = network.tokens(*inputs[:2], None)
    ours = torch.cat(hidden, dim=1).numpy()
    np.testing.assert_allclose(ours, wanted, atol=EMBEDDING, rtol=0)
    # What nothing reads can be left out.
    assert without.visual_3d is None
    ours = torch.cat(without[:2], dim=1).numpy()
    np.testing.assert_allclose(ours, wanted[:, :20], atol=EMBEDDING, rtol=0)


@pytest.mark.parametrize("pairs", ["cross", "uni"])
def test_grounding_losses(reference, variant, inputs, pairs):
    archive, _ = reference
    together = torch.from_numpy(archive["gt_with_silent"][:4]).bool()
    with torch.no_grad():
        tokens = pretraining_tokens(network_of(reference, variant), inputs)
        ours = [
            grounding_loss(tokens.audio, tokens.visual_2d, together, pairs, query=i).item()
            for i in range(10)
        ]
        every = grounding_loss(tokens.audio, tokens.visual_2d, together, pairs).item()
    wanted = archive[f"{variant}avg_loss_{pairs}"]
    np.testing.assert_allclose(ours, wanted, atol=LOSS, rtol=0)
    assert abs(every - wanted.mean()) < LOSS


def test_loss_and_gradients(reference, variant, inputs):
    archive, _ = reference
    *features, labels = inputs
    assert np.array_equal(labels.numpy(), archive["labels"])
    network = network_of(reference, variant)
    total, _ = Objective()(network(*features), weak_targets(labels))
    total.backward()
    assert abs(total.item() - archive[f"{variant}loss"]) < LOSS
    check_gradients("avg", network, archive, variant)


def test_connectivity(reference):
    archive, _ = reference
    for video, audio, silent, without in zip(
        *(archive[f"gt_{n}"] for n in ("video", "audio", "with_silent", "without_silent")),
        strict=True,
    ):
        visual = video.reshape(10, 8, -1).mean(1)
        assert np.array_equal(connectivity(visual, audio, archive["gt_silent"]), silent)
        assert np.array_equal(connectivity(visual, audio), without)
        assert np.array_equal(connectivity(visual, audio, np.zeros(16)), without)
    # The vectors do tell apart what they are to tell apart.
    assert (archive["gt_with_silent"] != archive["gt_without_silent"]).any()
    assert not (archive["gt_without_silent"] == np.eye(10)).all((1, 2)).all()


def test_connectivity_of_many_videos_at_once(reference):
    archive, _ = reference
    visual = archive["gt_video"].reshape(20, 10, 8, -1).mean(2)
    found = connectivity(visual, archive["gt_audio"], archive["gt_silent"])
    assert np.array_equal(found, archive["gt_with_silent"])


def test_the_sinusoid_is_the_released_one(reference):
    archive, _ = reference
    np.testing.assert_allclose(sinusoid(512), archive["uniter_sinusoid"], atol=1e-6, rtol=0)


def test_the_never_used_entries_are_named_and_counted(reference):
    archive, state = reference
    network = load_released("avg", state)
    frozen = {n for n in archive["uniter_rule__nograd_names"] if "position_embeddings" in n}
    unused = set(archive["uniter_rule__nograd_names"].tolist()) - frozen
    assert len(frozen) == 3 and set(network.unused_released) == unused
    assert count_elements(state) == 15_885_643
    assert sum(p.numel() for p in network.parameters()) == 11_145_547
    for stream, table in zip(STREAMS, ("visual_2d", "audio", "visual_3d"), strict=True):
        position = state[f"uniter.{stream}_embeddings.position_embeddings.weight"]
        assert torch.equal(getattr(network, table).positions, position)


def test_what_has_a_gradient_while_pre_training(reference, inputs):
    """Without the head; of the 3D stream it is zero."""
    network = network_of(reference, "uniter_sin__")
    tokens = pretraining_tokens(network, inputs)
    together = torch.eye(10, dtype=torch.bool).expand(4, 10, 10)
    grounding_loss(tokens.audio, tokens.visual_2d, together, "multi").backward()
    moved = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    assert sum(g.numel() for g in moved.values()) == 9_794_304
    assert not any(g.any() for n, g in moved.items() if n.startswith("visual_3d."))


def test_the_released_size():
    with torch.device("meta"):
        network = build("avg")
    hidden, idle = 1024, 0
    for size in (2048, 512):
        idle += size * size + size  # fc_v of a visual stream
    idle += 3 * 2 * hidden + hidden * hidden + hidden  # pos_layer_norm of three streams, pooler
    assert sum(x.numel() for x in network.state_dict().values()) + idle == 136_435_019


def test_sizes_follow_from_shapes(reference):
    _, state = reference
    shallow = {name: value for name, value in state.items() if ".layer.1." not in name}
    assert len(load_released("avg", shallow).layers) == 1
    load_released("avg", state, hidden=512, layers=2, intermediate=3072)
    with pytest.raises(AvvpError, match="the checkpoint has layers 1, not 2"):
        load_released("avg", shallow, layers=2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"uniter.audio_embeddings.audio_linear.weight": None}, "lacks 'uniter.audio_embeddings.a"),
        ({"uniter.encoder.layer.0.intermediate.dense.weight": None}, "lacks 'uniter.encoder"),
        ({"uniter.encoder.layer.4.output.dense.bias": torch.ones(512)}, "lacks 'uniter.encoder"),
        ({"fc_prob.bias": torch.ones(24)}, r"has shape \(24,\); expected \(25,\)"),
        ({"uniter.fc_v.bias": torch.ones(1)}, "has 'uniter.fc_v.bias'"),
    ],
)
def test_a_wrong_checkpoint_is_one_sentence(reference, change, sentence):
    state = {name: value for name, value in (reference[1] | change).items() if value is not None}
    with pytest.raises(AvvpError, match=sentence):
        load_released("avg", state)
