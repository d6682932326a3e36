"""Cross-Modal learning's networks agree with all seven released variants on rule-made weights."""

import math

import numpy as np
import pytest
import torch

from avvp.errors import AvvpError
from avvp.losses import AdversarialObjective, weak_targets
from avvp.models import build, load_released
from avvp.parity import names_and_shapes, open_golden, rule_state
from tests.parity.agreement import LOSS, PROBABILITY, check_gradients

VARIANTS = ["main", "basic", "skip", "adv_skip", "gcaa", "skip_gcaa", "adv_skip_gcaa"]
WITH_CONTEXT = {"main", "gcaa", "skip_gcaa"}
WITHOUT_SKIP = {"basic", "gcaa"}
IDLE = {f"cma_layer.norm{i}.{part}" for i in (1, 2) for part in ("weight", "bias")}
IDLE_WITHOUT_SKIP = {f"norm_{m}.{part}" for m in "av" for part in ("weight", "bias")}


@pytest.fixture(scope="module")
def reference(golden):
    archive, meta = open_golden(golden, "cml.npz")
    norms = meta["norm_weight_names"]
    states = {
        variant: rule_state(names_and_shapes(archive, f"{variant}__"), norms[variant])
        for variant in VARIANTS
    }
    return archive, states


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param


def network_of(reference, variant, **options):
    return load_released("cross_modal", reference[1][variant], variant=variant, **options)


def test_outputs(reference, inputs, variant):
    archive, _ = reference
    with torch.no_grad():
        parsing = network_of(reference, variant)(*inputs[:3])
    for ours, wanted in (
        (parsing.video, archive[f"{variant}__global_prob"]),
        (parsing.audio, archive[f"{variant}__a_prob"]),
        (parsing.visual, archive[f"{variant}__v_prob"]),
        (parsing.segment_audio, archive[f"{variant}__frame_prob"][:, :, 0]),
        (parsing.segment_visual, archive[f"{variant}__frame_prob"][:, :, 1]),
    ):
        np.testing.assert_allclose(ours.numpy(), wanted, atol=PROBABILITY, rtol=0)


def test_loss_and_gradients(reference, inputs, variant):
    archive, _ = reference
    *features, labels = inputs
    network = network_of(reference, variant)
    assert network.reversal_strength == 0.5
    total, parts = AdversarialObjective()(network(*features), weak_targets(labels))
    total.backward()
    assert abs(total.item() - archive[f"{variant}__loss"]) < LOSS
    ours = [parts[name].item() for name in ("video", "audio", "visual", "modality")]
    np.testing.assert_allclose(ours, archive[f"{variant}__loss_parts"], atol=LOSS, rtol=0)
    zero = check_gradients("cross_modal", network, archive, f"{variant}__")
    assert zero == {"fc_av_att.bias", "fc_frame_att.bias"}


def test_what_the_release_never_uses_is_reported(reference, variant):
    archive, _ = reference
    unused = set(network_of(reference, variant).unused_released)
    assert unused == IDLE | (IDLE_WITHOUT_SKIP if variant in WITHOUT_SKIP else set())
    assert unused == set(archive[f"{variant}__nograd_names"].tolist())


def test_options_of_the_variants(reference, variant, golden):
    network = network_of(reference, variant)
    assert network.skip == (variant not in WITHOUT_SKIP)
    assert network.cross.first_for_all == (variant in WITH_CONTEXT)
    _, meta = open_golden(golden, "cml.npz")
    counts = meta["counts"][variant]
    ours = sum(p.numel() for p in network.parameters())
    assert ours == counts["n_params_grad"]
    assert sum(v.numel() for v in reference[1][variant].values()) == counts["n_state_total"]


def test_the_intended_read_out_differs_from_the_released_one(reference, inputs):
    with torch.no_grad():
        released, intended = (
            network_of(reference, "main", global_context=kind)(*inputs[:3])
            for kind in ("released", "intended")
        )
    assert (released.segment_audio - intended.segment_audio).abs().max() > 1e-3


def test_without_discriminator_its_entries_are_reported(reference, inputs):
    network = network_of(reference, "adv_skip", discriminator=False)
    idle = {name for name in reference[1]["adv_skip"] if name.startswith("mod_classifier")}
    assert len(idle) == 16
    assert set(network.unused_released) == IDLE | idle
    with torch.no_grad():
        ours, whole = network(*inputs[:3]), network_of(reference, "adv_skip")(*inputs[:3])
    assert torch.equal(ours.segment_visual, whole.segment_visual)
    assert "modality" not in ours.extras


def test_running_statistics_are_read(reference):
    network = network_of(reference, "main")
    norm, state = network.discriminator.norm_first, reference[1]["main"]
    assert torch.equal(norm.running_var, state["mod_classifier.norm1.running_var"])
    assert torch.equal(norm.running_mean, state["mod_classifier.norm1.running_mean"])
    assert math.isclose(norm.eps, 1e-5) and norm.momentum == 0.1


def test_a_built_network_is_the_loaded_one(reference, variant):
    network = network_of(reference, variant)
    context = "released" if variant in WITH_CONTEXT else "off"
    built = build("cross_modal", skip=variant not in WITHOUT_SKIP, global_context=context)
    built.load_state_dict(network.state_dict())


@pytest.mark.parametrize(
    ("variant", "change", "options", "sentence"),
    [
        ("main", {}, {"variant": "mian"}, "variant is 'mian'; a released 'cross_modal' network is"),
        ("main", {}, {"variant": None}, "variant is None; .* one of main, basic, skip, adv_skip"),
        ("main", {}, {"variant": "basic"}, r"lacks 'cma_layer.*not a 'cross_modal' \(basic\)"),
        ("basic", {}, {"variant": "main"}, "lacks 'cma_layer.layers.0.cm_attn.Vkc_linear.bias'"),
        ("main", {"norm_a.weight": None}, {}, "lacks 'norm_a.weight'"),
        ("main", {"norm_b.weight": torch.ones(1)}, {}, "has 'norm_b.weight'"),
        ("main", {"shared_fc.bias": torch.ones(2)}, {}, r"has shape \(2,\); expected \(512,\)"),
        ("main", {}, {"skips": True}, "model 'cross_modal' has no option 'skips'"),
        ("main", {}, {"global_context": "some"}, "global_context is 'some'; it must be one of off"),
    ],
)
def test_a_wrong_checkpoint_or_option_is_one_sentence(
    reference, variant, change, options, sentence
):
    state = {**reference[1][variant], **change}
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(AvvpError, match=sentence) as caught:
        load_released("cross_modal", state, **{"variant": variant, **options})
    assert "\n" not in str(caught.value)


def test_other_families_have_no_variants(reference):
    with pytest.raises(AvvpError, match="model 'han' has no option 'variant'"):
        load_released("han", reference[1]["main"], variant="main")
