"""AVE, AVSDN, TALNet, STPN and CMCS: poolings and losses by hand, shapes, gradients, learning."""

import math

import pytest
import torch

from avvp.errors import AvvpError
from avvp.events import Parsing
from avvp.experiments import REGISTRY
from avvp.losses import (
    AttentionObjective,
    branch_balance,
    branch_diversity,
    sparsity,
    weak_targets,
)
from avvp.models import build
from avvp.models.avsdn import ResidualFusion
from avvp.models.layers import Standardise
from avvp.models.talnet import linear_softmax
from avvp.training import seeded

OLDER = ("ave", "avsdn", "talnet", "stpn", "cmcs")
HEARS = {"ave", "avsdn", "talnet"}
SEES = {"ave", "avsdn", "stpn", "cmcs"}


@pytest.fixture(scope="module")
def inputs():
    g = torch.Generator().manual_seed(0)
    return [torch.randn(3, 10, size, generator=g) for size in (128, 2048, 512)]


def made(name: str, seed: int = 1, **options):
    return seeded(seed, lambda: build(name, **options))


def targets():
    return weak_targets(torch.eye(3, 25), visual_smoothing=0.0)


@pytest.mark.parametrize("name", OLDER)
@pytest.mark.parametrize("frames", [False, True])
def test_a_parsing_has_the_probabilities_of_what_the_method_parses(name, frames, inputs):
    audio, visual_2d, visual_3d = inputs
    if frames:
        visual_2d = visual_2d.repeat_interleave(8, dim=1)
    parsing = made(name).eval()(audio, visual_2d, visual_3d)
    for modality, parses in (("audio", HEARS), ("visual", SEES)):
        video, segment = getattr(parsing, modality), getattr(parsing, f"segment_{modality}")
        if name not in parses:
            assert video is segment is None
            continue
        assert video.shape == (3, 25)
        assert segment.shape == (3, 10, 25)
        assert ((segment > 0) & (segment < 1) & (video > 0).all() & (video < 1).all()).all()
    assert parsing.video.shape == (3, 25)


@pytest.mark.parametrize("name", OLDER)
def test_eight_equal_frames_say_what_their_mean_says(name, inputs):
    audio, visual_2d, visual_3d = inputs
    network = made(name).eval()
    pooled = network(*inputs)
    framed = network(audio, visual_2d.repeat_interleave(8, dim=1), visual_3d)
    for one, other in zip(pooled[:5], framed[:5], strict=True):
        assert one is other is None or torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", sorted(SEES))
def test_a_wrong_number_of_frames_is_refused(name, inputs):
    audio, visual_2d, visual_3d = inputs
    with pytest.raises(AvvpError, match="visual_2d has 20 rows a video"):
        made(name)(audio, visual_2d.repeat_interleave(2, dim=1), visual_3d)


@pytest.mark.parametrize("name", OLDER)
def test_a_method_looks_only_at_what_it_is_for(name, inputs):
    network = made(name).eval()
    plain = network(*inputs)
    silent = network(torch.zeros_like(inputs[0]), *inputs[1:])
    dark = network(inputs[0], *map(torch.zeros_like, inputs[1:]))
    assert torch.equal(plain.video, silent.video) == (name not in HEARS)
    assert torch.equal(plain.video, dark.video) == (name not in SEES)


@pytest.mark.parametrize("name", OLDER)
def test_every_parameter_learns(name, inputs):
    g = torch.Generator().manual_seed(1)
    frames = torch.randn(3, 80, 2048, generator=g)
    network = made(name)
    loss, _ = REGISTRY[f"older/{name}"].objective(network(inputs[0], frames, inputs[2]), targets())
    loss.backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("name", OLDER)
def test_training_lowers_the_loss(name, inputs):
    network = made(name)
    objective = REGISTRY[f"older/{name}"].objective

    def loss() -> float:
        with torch.no_grad():
            return objective(network.eval()(*inputs), targets())[0].item()

    before = loss()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(30):
        total, _ = objective(network.train()(*inputs), targets())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert loss() < 0.8 * before


@pytest.mark.parametrize("name", OLDER)
def test_the_seed_decides_the_weights(name):
    one, same, other = (
        torch.cat([p.flatten() for p in made(name, seed).parameters()]) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", OLDER)
def test_half_precision_gives_about_the_same(name, inputs):
    network = made(name).eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(*inputs)
    full = network(*inputs)
    assert half.video.dtype == torch.float32
    assert (half.video - full.video).abs().max() < 0.05


def test_linear_softmax_pooling_by_hand():
    seconds = torch.tensor([0.9, 0.3, 0.0]).reshape(1, 3, 1)
    assert linear_softmax(seconds).item() == pytest.approx((0.81 + 0.09) / 1.2)
    assert linear_softmax(torch.zeros(1, 3, 1)).item() == 0
    seconds.requires_grad_()
    pooled = linear_softmax(seconds)
    (slope,) = torch.autograd.grad(pooled.sum(), seconds)
    p = 0.75
    expected = [(2 * y - p) / 1.2 for y in (0.9, 0.3, 0.0)]
    assert slope.flatten().tolist() == pytest.approx(expected)
    # Above half the pooled probability up, below it down.
    assert (slope.flatten() > 0).tolist() == [True, False, False]


def test_talnet_pools_its_seconds(inputs):
    parsing = made("talnet")(*inputs)
    y = parsing.segment_audio.double()
    assert torch.allclose(parsing.audio.double(), (y**2).sum(1) / y.sum(1), atol=1e-6)
    assert torch.equal(parsing.video, parsing.audio)


def test_talnet_has_the_widths_of_the_method():
    network = made("talnet")
    assert network.gru.hidden_size == 512
    assert network.gru.bidirectional
    assert network.classifier.in_features == 1024


def test_stpn_by_hand(inputs):
    network = made("stpn").double()
    with torch.no_grad():
        network.classifier.bias.uniform_(-1, 1)
    audio, visual_2d, visual_3d = (x.double() for x in inputs)
    parsing = network(audio, visual_2d, visual_3d)
    x = torch.cat([visual_2d, visual_3d], -1)[1]  # (T, 2560)
    first, _, second = network.attention
    hidden = (x @ first.weight.T + first.bias).clamp(min=0)
    attention = 1 / (1 + (-(hidden @ second.weight.T + second.bias)).exp())  # (T, 1)
    vector = (attention * x).sum(0) / 10
    video = torch.sigmoid(network.classifier.weight @ vector + network.classifier.bias)
    assert torch.allclose(parsing.visual[1].double(), video, atol=1e-6)
    activation = x @ network.classifier.weight.T
    weighted = attention * torch.sigmoid(activation)
    assert torch.allclose(parsing.segment_visual[1].double(), weighted, atol=1e-6)
    assert torch.allclose(parsing.extras["attention"][1].double(), attention[:, 0], atol=1e-6)


def test_cmcs_by_hand(inputs):
    network = made("cmcs").eval()
    parsing = network(*inputs)
    score = parsing.extras["branches"].mean(1)  # (B, T, C)
    attention = parsing.extras["attention"]
    assert attention.sum(-1).tolist() == pytest.approx([1.0] * 3)
    video = torch.sigmoid((attention[..., None] * score).sum(1))
    assert torch.allclose(parsing.visual, video, atol=1e-6)
    assert torch.allclose(parsing.segment_visual, score.sigmoid())
    assert parsing.extras["branches"].shape == (3, 4, 10, 25)


def test_cmcs_drops_a_feature_for_the_whole_video(inputs):
    network = made("cmcs").train()
    seen = []
    network.base.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(*inputs)
    off = seen[0] == 0  # (B, 2560, T)
    assert torch.equal(off.any(-1), off.all(-1))
    assert 0.4 < off.float().mean() < 0.6


def test_ave_weighs_what_it_sees_by_what_it_hears(inputs):
    audio, _, visual_3d = inputs
    g = torch.Generator().manual_seed(5)
    frames = torch.randn(3, 80, 2048, generator=g)
    network = made("ave").eval()
    weights = network(audio, frames, visual_3d).extras
    assert weights["attention_over_frames"].shape == (3, 10, 8)
    assert weights["attention_over_views"].shape == (3, 10, 2)
    for value in weights.values():
        assert torch.allclose(value.sum(-1), torch.ones(3, 10))
    other = network(audio.flip(0), frames, visual_3d).extras
    assert not torch.allclose(weights["attention_over_frames"], other["attention_over_frames"])
    assert "attention_over_frames" not in network(*inputs).extras


def test_the_attention_of_ave_by_hand():
    attention = made("ave").attention.double()
    g = torch.Generator().manual_seed(2)
    audio, views = torch.randn(1, 1, 128, generator=g), torch.randn(1, 1, 4, 512, generator=g)
    audio, views = audio.double(), views.double()
    a = (attention.heard.weight @ audio[0, 0] + attention.heard.bias).clamp(min=0)
    z = torch.stack(
        [
            attention.score.weight[0]
            @ torch.tanh(attention.of_visual.weight @ v + attention.of_audio.weight @ a)
            for v in views[0, 0]
        ]
    )
    expected = z.exp() / z.exp().sum()
    assert torch.allclose(attention(audio, views)[0, 0].double(), expected, atol=1e-6)
    assert attention.of_visual.bias is attention.of_audio.bias is attention.score.bias is None


def test_features_are_standardised_over_videos_and_seconds():
    layer = Standardise(128, 4)
    g = torch.Generator().manual_seed(0)
    one, other = 5 + 3 * torch.randn(64, 10, 128, generator=g), torch.rand(64, 80, 4, generator=g)
    for x, made in zip((one, other), layer(one, other), strict=True):
        assert made.shape == x.shape
        assert made.mean((0, 1)).abs().max() < 1e-5
        assert (made.std((0, 1)) - 1).abs().max() < 0.02
    assert not list(layer.parameters())
    for _ in range(100):
        layer(one, other)
    layer.eval()
    assert torch.allclose(
        layer(one[:1], other[:1])[0], (one[:1] - one.mean((0, 1))) / one.std((0, 1)), atol=1e-2
    )


def test_ave_takes_the_surest_second_for_the_video(inputs):
    parsing = made("ave")(*inputs)
    assert torch.equal(parsing.audio, parsing.segment_audio.amax(1))
    assert torch.equal(parsing.visual, parsing.segment_visual.amax(1))


def test_residual_fusion_by_hand():
    fusion = ResidualFusion(2)
    with torch.no_grad():
        for layers in (fusion.of_audio, fusion.of_visual):
            for layer in (layers[0], layers[2]):
                layer.weight.copy_(torch.eye(2))
                layer.bias.zero_()
    a, v = torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 2.0]])
    m = [(math.tanh(0.5) + math.tanh(1.0)) / 2, math.tanh(2.0) / 2]
    expected = [
        (math.tanh(x + s) + math.tanh(y + s)) / 2
        for x, y, s in zip((0.5, 0.0), (1.0, 2.0), m, strict=True)
    ]
    assert fusion(a, v)[0].tolist() == pytest.approx(expected)


def test_avsdn_scores_the_video_by_relevance_times_the_whole(inputs):
    network = made("avsdn")
    written = []
    network.decoder.register_forward_hook(lambda _, __, out: written.append(out[0].relu()))
    parsing = network(*inputs)
    relevance = torch.sigmoid(network.relevance(written[0]))
    whole = network.classifier(written[0].mean(1, keepdim=True))
    assert torch.allclose(parsing.video, torch.sigmoid((relevance * whole).amax(1)))
    assert torch.equal(parsing.audio, parsing.segment_audio.amax(1))


def test_sparsity_is_the_sum_over_seconds():
    attention = torch.tensor([[0.5, 0.25, 0.0], [1.0, 1.0, 1.0]])
    assert sparsity(attention).item() == pytest.approx((0.75 + 3) / 2)


def branches(*seconds) -> torch.Tensor:
    """(1, K, T, 2) scores whose softmax over the two classes gives these shares to the first."""
    first = torch.tensor(seconds, dtype=torch.double)
    return torch.stack([first.logit(), torch.zeros_like(first)], dim=-1)[None]


def test_diversity_by_hand():
    scores = branches([0.8, 0.2], [0.8, 0.2], [0.2, 0.8])

    def cosine(one, other):
        dot = sum(x * y for x, y in zip(one, other, strict=True))
        return dot / math.hypot(*one) / math.hypot(*other)

    # Either class: two branches agree, and both differ alike from the third.
    apart = cosine([0.8, 0.2], [0.2, 0.8])
    assert branch_diversity(scores).item() == pytest.approx((2 * 1 + 4 * apart) / 6, rel=1e-5)
    same = branches([0.7, 0.4], [0.7, 0.4])
    assert branch_diversity(same).item() == pytest.approx(1.0)
    with pytest.raises(AvvpError, match="diversity compares branches, of which there is 1"):
        branch_diversity(same[:, :1])


def test_balance_by_hand():
    scores = torch.tensor([[[[1.0, -1.0]], [[3.0, 1.0]]], [[[2.0, 0.0]], [[0.0, -2.0]]]])
    # Sizes a second: 2 and 4 in the first video, 2 and 2 in the second.
    assert branch_balance(scores).item() == pytest.approx((1 + 1 + 0 + 0) / 4)
    long = scores.repeat(1, 1, 5, 1)
    assert branch_balance(long).item() == pytest.approx(branch_balance(scores).item())


def test_the_objectives_of_stpn_and_cmcs_add_their_terms(inputs):
    for name, weights in (
        ("stpn", {"visual": 1.0, "sparsity": 1e-4}),
        ("cmcs", {"visual": 25.0, "diversity": 0.2, "balance": 0.2}),
    ):
        objective = REGISTRY[f"older/{name}"].objective
        assert objective.weights == weights
        assert objective.visual_smoothing == 0
        total, parts = objective(made(name)(*inputs), targets())
        assert total.item() == pytest.approx(sum(weights[k] * parts[k].item() for k in weights))
    with pytest.raises(AvvpError, match="needs 'branches', which this network does not return"):
        AttentionObjective({"diversity": 1.0})(made("stpn")(*inputs), targets())
    assert isinstance(made("stpn")(*inputs), Parsing)
