"""MGN agrees with the released network on rule-made weights, for all four assignments."""

import numpy as np
import pytest
import torch

from avvp.errors import AvvpError
from avvp.losses import Objective, weak_targets
from avvp.models import build, load_released
from avvp.models.released import count_elements
from avvp.parity import names_and_shapes, open_golden, rule_state
from tests.parity.agreement import LOSS, PROBABILITY, check_five_steps, check_gradients

ASSIGNMENTS = ["soft_soft", "hard_soft", "soft_hard", "hard_hard"]
OBJECTIVE = Objective(
    weights=dict.fromkeys(("video", "audio", "visual", "token_class"), 1.0)
)  # fmt: skip


@pytest.fixture(scope="module")
def reference(golden):
    archive, meta = open_golden(golden, "mgn.npz")
    return archive, rule_state(names_and_shapes(archive), meta["norm_weight_names"])


@pytest.fixture(scope="module", params=ASSIGNMENTS)
def pair(request):
    return request.param


def network_of(pair, state):
    unimodal, crossmodal = pair.split("_")
    return load_released("mgn", state, unimodal=unimodal, crossmodal=crossmodal)


def test_outputs(reference, inputs, pair):
    archive, state = reference
    with torch.no_grad():
        parsing = network_of(pair, state)(*inputs[:3])
    for ours, key in (
        (parsing.extras["token_logits_audio"], "aud_cls_prob"),
        (parsing.extras["token_logits_visual"], "vis_cls_prob"),
        (parsing.video, "global_prob"),
        (parsing.audio, "a_prob"),
        (parsing.visual, "v_prob"),
        (parsing.segment_audio, "a_frame_prob"),
        (parsing.segment_visual, "v_frame_prob"),
    ):
        wanted = archive[f"{pair}__{key}"]
        np.testing.assert_allclose(ours.numpy(), wanted, atol=PROBABILITY, rtol=0, err_msg=key)


def test_loss_and_gradients(reference, inputs, pair):
    archive, state = reference
    *features, labels = inputs
    assert np.array_equal(labels.numpy(), archive["labels"])
    network = network_of(pair, state)
    parsing = network(*features)
    total, parts = OBJECTIVE(parsing, weak_targets(labels))
    total.backward()
    assert abs(total.item() - archive[f"{pair}__loss"]) < LOSS
    ours = [parts[name].item() for name in ("video", "audio", "visual", "token_class")]
    *wanted, class_audio, class_visual = archive[f"{pair}__loss_parts"]
    np.testing.assert_allclose(ours, [*wanted, class_audio + class_visual], atol=LOSS, rtol=0)
    own = torch.arange(25)
    for modality, part in (("audio", class_audio), ("visual", class_visual)):
        logits = parsing.extras[f"token_logits_{modality}"]
        assert abs(torch.nn.functional.cross_entropy(logits, own).item() - part) < LOSS
    assert len(check_gradients("mgn", network, archive, f"{pair}__")) == 12


def test_five_steps_of_adam(reference, inputs, pair):
    archive, state = reference
    check_five_steps(network_of(pair, state), OBJECTIVE, inputs, archive, f"{pair}__")


def test_segments_hardly_differ_over_time(reference, inputs):
    archive, state = reference
    with torch.no_grad():
        parsing = network_of("soft_soft", state)(*inputs[:3])
    for score, key in (
        (parsing.segment_audio, "a_time_ratio"),
        (parsing.segment_visual, "v_time_ratio"),
    ):
        ratio = score.amin(dim=1) / score.amax(dim=1)
        np.testing.assert_allclose(ratio, archive[f"soft_soft__{key}"], atol=2e-5, rtol=0)


def test_which_blocks_are_hard(golden, pair):
    """Of the extra audio block the release inverts the flag."""
    _, meta = open_golden(golden, "mgn.npz")
    network = build("mgn", unimodal=pair.split("_")[0], crossmodal=pair.split("_")[1])
    for name, flags in meta["assign_flags"][pair].items():
        ours = {
            "audio_cug.grouping.assign": network.audio_grouping,
            "audio_cug.han_encoder.assign": network.segment_grouping,
            "visual_cug.grouping.assign": network.visual_grouping,
            "av_mcg.grouping.assign": network.cross_modal_grouping,
        }[name]
        assert ours.assignment.hard == flags["hard"] == flags["gumbel_in_training"]
    assert len(meta["assign_flags"][pair]) == 4


def test_parameter_counts_of_every_depth(reference):
    archive, state = reference
    for *depths, elements, used, _ in archive["size_table"].tolist():
        with torch.device("meta"):
            network = build("mgn", depths=tuple(depths))
        assert sum(p.numel() for p in network.parameters()) == elements == used
    loaded = load_released("mgn", state)
    assert loaded.unused_released == ()
    assert count_elements(state) == sum(p.numel() for p in loaded.parameters()) == 4_366_065


def test_depths_follow_from_the_names(reference):
    _, state = reference
    shallow = {
        name: value
        for name, value in state.items()
        if not any(f"blocks.{i}." in name for i in range(1, 6)) or "av_mcg.blocks.1." in name
    }
    network = load_released("mgn", shallow)
    depths = [
        len(e) for e in (network.audio_encoder, network.visual_encoder, network.cross_modal_encoder)
    ]
    assert depths == [1, 1, 2]
    load_released("mgn", state, depths=(3, 3, 6))
    with pytest.raises(AvvpError, match=r"has depths \(1, 1, 2\), not \(3, 3, 6\)"):
        load_released("mgn", shallow, depths=(3, 3, 6))


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        ({"av_mcg.blocks.5.mlp.fc1.bias": None}, {}, r"lacks 'av_mcg.blocks.5.mlp.fc1.bias'"),
        ({"av_mcg.blocks.9.norm1.bias": torch.ones(128)}, {}, r"lacks 'av_mcg.blocks.6.attn"),
        (
            {"fc_cls.weight": torch.ones(24, 128)},
            {},
            r"has shape \(24, 128\); expected \(25, 128\)",
        ),
        ({"fc_b.weight": torch.ones(1)}, {}, r"has 'fc_b.weight'"),
        ({}, {"crossmodal": "firm"}, "crossmodal is 'firm'; it must be 'soft' or 'hard'"),
        ({}, {"depth": 3}, "model 'mgn' has no option 'depth'"),
    ],
)
def test_a_wrong_checkpoint_or_option_is_one_sentence(reference, change, options, sentence):
    state = {**reference[1], **change}
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(AvvpError, match=sentence):
        load_released("mgn", state, **options)


@pytest.mark.parametrize(
    ("options", "unused"),
    [
        ({"audio_time": "own"}, "audio_cug.han_encoder."),
        ({"score": "segments"}, "fc_prob_"),
        ({"crossmodal_grouping": False}, "av_mcg."),
    ],
)
def test_what_an_option_has_no_use_for_is_listed(reference, options, unused):
    left = load_released("mgn", reference[1], **options).unused_released
    assert left and all(name.startswith(unused) for name in left)
    state = {**reference[1], "av_mcg.hat": torch.ones(1)}
    with pytest.raises(AvvpError, match=r"has 'av_mcg.hat' .1 such"):
        load_released("mgn", state, **options)


def test_a_branch_without_blocks_is_missed_by_name(reference):
    state = {n: v for n, v in reference[1].items() if not n.startswith("visual_cug.blocks.")}
    with pytest.raises(AvvpError, match=r"lacks 'visual_cug.blocks.0.attn"):
        load_released("mgn", state)
