"""Cross-Modal learning's networks: training mode, the reversal, the critic, and bad options."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from avvp.errors import AvvpError
from avvp.losses import AdversarialObjective, weak_targets
from avvp.models import build
from avvp.models.cross_modal import (
    AttentionLayer,
    GlobalContextAttention,
    ModalityDiscriminator,
    ReverseGradient,
    reversal_strength,
)
from avvp.models.layers import Attention
from avvp.training import autocast, seeded


@pytest.fixture(scope="module")
def inputs():
    g = torch.Generator().manual_seed(0)
    return tuple(torch.randn(6, *size, generator=g) for size in ((10, 128), (10, 2048), (10, 512)))


@pytest.fixture(scope="module")
def weak():
    return torch.rand(6, 25, generator=torch.Generator().manual_seed(1)) < 0.2


def network(**options):
    return seeded(1, lambda: build("cross_modal", **{"width": 32, **options}))


def rows(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_shapes(inputs):
    with torch.no_grad():
        parsing = network().eval()(*inputs)
    assert parsing.video.shape == parsing.audio.shape == parsing.visual.shape == (6, 25)
    assert parsing.segment_audio.shape == parsing.segment_visual.shape == (6, 10, 25)
    assert {name: tuple(value.shape) for name, value in parsing.extras.items()} == {
        "attention_self_audio": (6, 10, 10),
        "attention_self_visual": (6, 10, 10),
        "attention_cross_audio": (6, 10, 10),
        "attention_cross_visual": (6, 10, 10),
        "attention_over_time": (6, 10, 2, 25),
        "attention_over_modality": (6, 10, 2, 25),
        "modality": (6, 10, 2),
        "modality_truth": (6, 10, 2),
    }
    for name in ("self_audio", "self_visual", "cross_audio", "cross_visual"):
        assert parsing.extras[f"attention_{name}"].sum(-1).allclose(torch.ones(6, 10))
    truth = parsing.extras["modality_truth"]
    assert (truth[..., 0] == 0).all() and (truth[..., 1] == 1).all()


def test_frames_and_their_means_are_parsed_alike(inputs):
    audio, _, visual_3d = inputs
    frames = rows(6, 80, 2048)
    means = frames.unflatten(1, (10, 8)).mean(2)
    made = network().eval()
    with torch.no_grad():
        one, other = made(audio, frames, visual_3d), made(audio, means, visual_3d)
    torch.testing.assert_close(one.segment_visual, other.segment_visual)


# The reversal and its schedule


def released_strength(epoch, step, *, steps, epochs):
    """As the training script computes it, epochs counted from 1."""
    p = (step + epoch * steps) / (epochs * steps)
    return 2 / (1 + math.exp(-10 * p)) - 1


@pytest.mark.parametrize(("epochs", "steps"), [(40, 157), (1, 1), (12, 40)])
def test_the_strength_follows_the_releases_counting(epochs, steps):
    for epoch in {1, (epochs + 1) // 2, epochs}:
        for step in {0, steps // 2, steps - 1}:
            done = ((epoch - 1) * steps + step) / (epochs * steps)
            assert reversal_strength(done, epochs=epochs) == pytest.approx(
                released_strength(epoch, step, steps=steps, epochs=epochs), abs=1e-12
            )


def test_the_intended_strength_starts_at_zero_and_needs_no_epochs():
    for epochs in (1, 40):
        strengths = [
            reversal_strength(done, epochs=epochs, schedule="intended") for done in (0, 0.1, 0.5, 1)
        ]
        assert strengths == pytest.approx([0, math.tanh(0.5), math.tanh(2.5), math.tanh(5)])
    assert reversal_strength(0, epochs=40) == pytest.approx(math.tanh(1 / 8))


def test_a_network_is_told_its_progress_and_another_is_not():
    one, other = network(), network(reversal="intended")
    for made, wanted in ((one, math.tanh(5 * (0.25 + 0.5))), (other, math.tanh(5 * 0.25))):
        assert made.reversal_strength == 0.5
        made.at_progress(0.25, epochs=2)
        assert made.reversal_strength.item() == pytest.approx(wanted)
    assert network().reversal_strength == 0.5
    assert "reversal_strength" not in one.state_dict()


def test_the_reversal_is_the_identity_with_a_negative_slope():
    x = rows(4, 3).requires_grad_()
    out = ReverseGradient.apply(x, torch.tensor(0.3))
    assert torch.equal(out, x)
    (out**2).sum().backward()
    torch.testing.assert_close(x.grad, -0.3 * 2 * x.detach())


def test_the_reversal_survives_vmap():
    weights, x = rows(3, 5), rows(5, seed=1)

    def loss(w):
        return (ReverseGradient.apply(w * x, torch.tensor(0.7)) ** 2).sum()

    batched = torch.func.vmap(torch.func.grad(loss))(weights)
    torch.testing.assert_close(batched, -0.7 * 2 * weights * x**2)


def test_the_critic_learns_and_the_features_unlearn():
    """To the discriminator the gradient is its own; to the features it is turned and scaled."""
    critic = seeded(1, lambda: ModalityDiscriminator(16)).train()
    start = rows(2, 3, 10, 16)

    def gradients(strength):
        audio, visual = (x.clone().requires_grad_() for x in start)
        guess = critic(audio, visual, strength=strength)
        truth = torch.arange(2.0).expand_as(guess)
        critic.zero_grad()
        functional.binary_cross_entropy(guess, truth).backward()
        own = [p.grad.clone() for p in critic.parameters()]
        return own, torch.stack([audio.grad, visual.grad])

    plain, features = gradients(-1.0)  # strength -1 is no reversal
    reversed_, turned = gradients(0.25)
    assert all(torch.equal(a, b) for a, b in zip(plain, reversed_, strict=True))
    torch.testing.assert_close(turned, -0.25 * features)
    # The reversal comes after a ReLU: what is negative gets no gradient either way.
    assert (features[start < 0] == 0).all() and features[start > 0].abs().max() > 0


def test_only_the_discriminators_term_is_reversed(inputs, weak):
    made = network(dropout=0.0).train()
    targets = weak_targets(weak)

    def gradient(weights, strength):
        made.reversal_strength.fill_(strength)
        made.zero_grad()
        AdversarialObjective(weights)(made(*inputs), targets)[0].backward()
        return made.front_end.fusion.weight.grad.clone()

    rest = {"video": 1.0, "audio": 0.3, "visual": 0.3}
    parsed = gradient(rest | {"modality": 0.0}, 0.9)
    guessed = gradient({"modality": 0.3}, -1.0)
    both = gradient(rest | {"modality": 0.3}, 0.9)
    torch.testing.assert_close(both, parsed - 0.9 * guessed, atol=1e-6, rtol=1e-3)
    assert guessed.abs().max() > 1e-5


# The discriminator


def test_the_order_of_rows_changes_nothing():
    """The release shuffles the rows, which we leave out: same guesses, same statistics."""
    ours = seeded(1, lambda: ModalityDiscriminator(16)).train()
    theirs = seeded(1, lambda: ModalityDiscriminator(16)).train()
    audio, visual = rows(2, 3, 10, 16)
    guess = ours(audio, visual, strength=0.5)
    flat = torch.stack([audio, visual], dim=2).flatten(0, 2).relu()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    hidden = theirs.norm_first(theirs.first(flat[order])).relu()
    hidden = theirs.norm_second(theirs.second(hidden)).relu()
    shuffled = theirs.last(hidden).sigmoid().squeeze(1)
    torch.testing.assert_close(guess.flatten()[order], shuffled)
    truth = torch.arange(2.0).expand_as(guess)
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, dict(theirs.named_buffers())[name])
    losses = [
        functional.binary_cross_entropy(p, t)
        for p, t in ((guess, truth), (shuffled, truth.flatten()[order]))
    ]
    torch.testing.assert_close(*losses)


def test_batch_norms_learn_statistics_in_training_and_use_them_in_evaluation():
    critic = seeded(1, lambda: ModalityDiscriminator(16))
    audio, visual = rows(2, 3, 10, 16)
    critic.train()
    critic(audio, visual, strength=0.5)
    flat = critic.first(torch.stack([audio, visual], dim=2).flatten(0, 2).relu())
    norm = critic.norm_first
    torch.testing.assert_close(norm.running_mean, 0.1 * flat.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * flat.var(0))
    assert norm.num_batches_tracked == 1
    before = norm.running_mean.clone()
    critic.eval()
    whole = critic(audio, visual, strength=0.5)
    one = critic(audio[:1], visual[:1], strength=0.5)  # a row's guess depends on no other row
    torch.testing.assert_close(whole[:1], one)
    assert torch.equal(norm.running_mean, before)


def test_the_discriminator_sees_what_is_pooled(inputs):
    made = network().eval()
    with torch.no_grad():
        mixed, _ = made.features(*inputs)
        parsing = made(*inputs)
        guess = made.discriminator(mixed.audio, mixed.visual, strength=0.0)
        pooled = made.pooling(mixed.audio, mixed.visual)
    assert torch.equal(parsing.extras["modality"], guess)
    assert torch.equal(parsing.video, pooled.video)


def test_without_discriminator(inputs, weak):
    made = network(discriminator=False)
    critic = ModalityDiscriminator(32)
    count = sum(p.numel() for p in made.parameters())
    assert count == sum(p.numel() for p in network().parameters()) - sum(
        p.numel() for p in critic.parameters()
    )
    with pytest.raises(AvvpError, match="needs 'modality', which this network does not return"):
        AdversarialObjective()(made(*inputs), weak_targets(weak))


# Wiring


@pytest.mark.parametrize("context", ["off", "released", "intended"])
@pytest.mark.parametrize("skip", [False, True])
def test_what_is_pooled(inputs, skip, context):
    """Own self-attention, one shared layer across, one shared projection, and the skip."""
    made = network(skip=skip, global_context=context).eval()
    with torch.no_grad():
        a, v = made.front_end(*inputs)
        a_1, v_1 = made.self_audio(a, a)[0], made.self_visual(v, v)[0]
        a_2, v_2 = made.cross(a_1, v_1)[0], made.cross(v_1, a_1)[0]
        a_3, v_3 = made.shared(a_2), made.shared(v_2)
        if skip:
            a_3, v_3 = made.norm_audio(a_3 + a_1), made.norm_visual(v_3 + v_1)
        mixed, _ = made.features(*inputs)
    for ours, wanted in zip(mixed, (a_1, v_1, a_3, v_3), strict=True):
        torch.testing.assert_close(ours, wanted)


def test_the_skip_carries_sound_past_the_image(inputs):
    """With all that comes from attention across silenced, sound knows nothing of the image."""
    for skip in (True, False):
        made = network(skip=skip).eval()
        with torch.no_grad():
            made.shared.weight.zero_()
            sound = made.features(*inputs)[0].audio
            other = made.features(inputs[0], *(x.flip(0) for x in inputs[1:]))[0].audio
        assert torch.equal(sound, other)
        assert (sound.std(dim=1) > 0.01).any() == skip


def test_the_released_read_out_is_that_of_the_first_second():
    released = seeded(1, lambda: AttentionLayer(16, dropout=0.1, global_context="released")).eval()
    intended = seeded(1, lambda: AttentionLayer(16, dropout=0.1, global_context="intended")).eval()
    query, source = rows(2, 4, 10, 16)
    with torch.no_grad():
        one, attention = released(query, source)
        other, same = intended(query, source)
        read, _ = released.attention(query, source)
        x = released.norm_attention(query + read[:, :1])
        expected = released.norm_feed_forward(x + released.contract(released.expand(x).relu()))
    assert torch.equal(attention, same)
    torch.testing.assert_close(one, expected)
    torch.testing.assert_close(one[:, 0], other[:, 0])
    assert (one[:, 1:] - other[:, 1:]).abs().amax(dim=(0, 2)).min() > 1e-3


def test_only_the_released_context_knows_which_second_is_the_first(inputs):
    order = torch.tensor([3, 1, 2, 0, 4, 5, 6, 7, 8, 9])
    for context, equal in (("off", True), ("intended", True), ("released", False)):
        made = network(global_context=context).eval()
        with torch.no_grad():
            straight = made(*inputs).segment_audio[:, order]
            mixed = made(*(x[:, order] for x in inputs)).segment_audio
        assert torch.allclose(straight, mixed, atol=1e-6) == equal


# Global context


def test_closed_gates_leave_plain_attention():
    context = seeded(1, lambda: GlobalContextAttention(16)).eval()
    plain = Attention(16).eval()
    query, source = rows(2, 4, 10, 16)
    with torch.no_grad():
        plain.in_projection.weight.copy_(
            torch.cat([context.query.weight, context.key.weight, context.value.weight])
        )
        plain.in_projection.bias.copy_(
            torch.cat([context.query.bias, context.key.bias, context.value.bias])
        )
        plain.out_projection.load_state_dict(context.out.state_dict())
        for gate in (context.query_gate, context.key_gate):
            gate.bias.fill_(-100)
        for ours, wanted in zip(context(query, source), plain(query, source), strict=True):
            torch.testing.assert_close(ours, wanted)


def test_open_gates_replace_queries_or_keys_by_their_context():
    context = seeded(1, lambda: GlobalContextAttention(16)).eval()
    query, source = rows(2, 4, 10, 16)
    with torch.no_grad():
        context.query_gate.bias.fill_(100)
        _, attention = context(query, source)
        assert attention.std(dim=1).max() < 1e-6 < attention.std(dim=2).min()  # equal queries
        context.key_gate.bias.fill_(100)
        read, attention = context(query, source)
    torch.testing.assert_close(attention, torch.full((4, 10, 10), 0.1))  # equal keys
    torch.testing.assert_close(read[:, 0], context.out(context.value(source).mean(1)))


def test_global_context_by_hand():
    """One channel, two seconds, every projection the identity with slopes of its own."""
    context = GlobalContextAttention(1, dropout=0.0).eval()
    slopes = {"query": 1.0, "key": 2.0, "value": 3.0, "query_context": 4.0, "key_context": 5.0}
    slopes |= {"query_gate": 0.5, "query_context_gate": 0.25, "key_gate": -0.5, "out": 1.0}
    slopes |= {"key_context_gate": 0.125}
    with torch.no_grad():
        for name, slope in slopes.items():
            getattr(context, name).weight.fill_(slope)
            getattr(context, name).bias.zero_()
        read, attention = context(
            torch.tensor([[[0.2], [0.6]]]), torch.tensor([[[1.0], [-0.4]]])
        )  # means 0.4 and 0.3

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    queries, keys = [], []
    for x in (0.2, 0.6):
        gate = sigmoid(0.5 * x + 0.25 * 4 * 0.4)
        queries.append((1 - gate) * x + gate * 4 * 0.4)
    for z in (1.0, -0.4):
        gate = sigmoid(-0.5 * 2 * z + 0.125 * 5 * 0.3)
        keys.append((1 - gate) * 2 * z + gate * 5 * 0.3)
    for t, q in enumerate(queries):
        first = sigmoid(q * (keys[0] - keys[1]))
        assert attention[0, t, 0].item() == pytest.approx(first, rel=1e-5)
        wanted = first * 3 * 1.0 + (1 - first) * 3 * -0.4
        assert read[0, t, 0].item() == pytest.approx(wanted, rel=1e-5)


# Training mode


def test_dropout_acts_in_training_alone(inputs):
    made = network()
    assert {m.p for m in made.modules() if isinstance(m, nn.Dropout)} == {0.1}
    made.train()
    one, other = (made(*inputs).video for _ in range(2))
    assert not torch.equal(one, other)
    made.eval()
    one, other = (made(*inputs).video for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("context", "shared"), [("released", True), ("intended", False)])
def test_dropout_of_the_read_out(context, shared):
    """The release drops channels of its one read-out, and so the same ones in all seconds."""
    layer = seeded(1, lambda: AttentionLayer(64, dropout=0.5, global_context=context)).train()
    for linear in (layer.expand, layer.contract):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    for norm in ("norm_attention", "norm_feed_forward"):
        setattr(layer, norm, nn.Identity())
    nn.init.zeros_(layer.attention.out.weight)
    nn.init.ones_(layer.attention.out.bias)  # every read-out is 1
    with torch.no_grad():
        added, _ = layer(torch.zeros(8, 10, 64), rows(8, 10, 64))
    assert set(added.unique().tolist()) == {0.0, 2.0}
    assert bool((added == added[:, :1]).all()) == shared
    assert not torch.equal(added[0], added[1])


def test_bfloat16_gives_finite_float32_gradients(inputs, weak):
    made = network(width=64).train()
    with autocast(torch.device("cpu"), "bfloat16"):
        parsing = made(*inputs)
    assert parsing.video.dtype == parsing.extras["modality"].dtype == torch.float32
    AdversarialObjective()(parsing, weak_targets(weak))[0].backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"skip": "yes"}, "skip is 'yes'; it must be True or False"),
        ({"discriminator": 1}, "discriminator is 1; it must be True or False"),
        ({"global_context": True}, "global_context is True; it must be one of off, released, int"),
        ({"reversal": "late"}, "reversal is 'late'; it must be one of released, intended"),
        ({"gcaa": True}, "model 'cross_modal' has no option 'gcaa'; it has skip, global_context"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(AvvpError, match=sentence):
        build("cross_modal", **options)
