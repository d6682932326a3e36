"""AVG's network: what released numbers in evaluation mode cannot tell."""

import pytest
import torch
from torch.nn import functional

from avvp.errors import AvvpError
from avvp.models import build
from avvp.training import seeded
from tests.made_up_videos import make_videos

SIZES = {"hidden": 32, "layers": 2, "intermediate": 48, "width": 16}


def network(**options):
    return seeded(1, lambda: build("avg", **(SIZES | options)))


@pytest.fixture(scope="module")
def features():
    videos = make_videos(3, seed=2)
    return videos.audio, videos.visual_2d, videos.visual_3d


def test_row_0_of_the_mask_table_has_no_effect_and_row_1_has(features):
    net = network().eval()
    with torch.no_grad():
        before = net(*features).video
        net.audio.mask_embedding[0] = 100.0
        assert torch.equal(net(*features).video, before)
        net.audio.mask_embedding[1] += 1.0
        assert not torch.equal(net(*features).video, before)
    net(*features).video.sum().backward()
    rows = net.audio.mask_embedding.grad
    assert not rows[0].any() and rows[1].any()


def test_position_tables_are_saved_and_never_trained(features):
    net = network()
    assert {"audio.positions", "visual_2d.positions", "visual_3d.positions"} <= set(
        net.state_dict()
    )
    assert not any("positions" in name for name, _ in net.named_parameters())
    before = net.audio.positions.clone()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(*features).video.sum().backward()
    optimizer.step()
    assert torch.equal(net.audio.positions, before)


def test_positions_are_noise_as_released_or_the_sinusoid():
    noise, sinusoid = network(), network(positions="sinusoid")
    spread = torch.cat([noise.audio.positions, noise.visual_2d.positions]).std().item()
    assert spread == pytest.approx(0.02, rel=0.1)
    assert not torch.equal(noise.audio.positions, noise.visual_2d.positions)
    table = sinusoid.audio.positions
    assert torch.equal(table, sinusoid.visual_3d.positions)
    assert table[:, 0].tolist() == pytest.approx(torch.arange(10.0).sin().tolist())
    angle = torch.tensor(9 / 10_000 ** (2 * 3 / 32))
    assert table[9, 3].item() == pytest.approx(angle.cos().item())


def test_initial_weights():
    net = network(hidden=64)
    for weight in (net.audio.linear.weight, net.layers[1].query.weight, net.token_types):
        assert weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not net.layers[0].expand.bias.any()
    assert (net.layers[0].norm_attention.weight == 1).all()
    assert not torch.equal(net.layers[0].query.weight, net.layers[1].query.weight)
    default = net.read_audio.weight.abs().max().item()  # uniform, not normal
    assert 0.9 / 8 < default <= 1 / 8


def test_sound_and_3d_share_a_token_type(features):
    net = network().eval()
    with torch.no_grad():
        before = net.tokens(*features)
        embedded = [net.audio(features[0], net.token_types[1])]
        net.token_types[1] += torch.randn(32, generator=torch.Generator().manual_seed(1))
        after = net.tokens(*features)
        assert not torch.equal(embedded[0], net.audio(features[0], net.token_types[1]))
    assert not torch.allclose(before.audio, after.audio, atol=1e-3)
    assert not torch.allclose(before.visual_3d, after.visual_3d, atol=1e-3)


def test_dropout_acts_where_the_release_has_it_and_only_in_training(features):
    net = network(dropout=0.5)
    with torch.no_grad():
        assert not torch.equal(net(*features).video, net(*features).video)
        # Attention weights alone.
        layer, x = net.layers[0], torch.randn(2, 30, 32)
        layer.dropout.register_forward_hook(lambda module, inputs, output: inputs[0])
        assert not torch.equal(layer(x), layer(x))
        # Embeddings alone: half of the numbers are gone, the others doubled.
        tokens = net.audio(features[0], net.token_types[1])
        assert 0.4 < (tokens == 0).float().mean() < 0.6
        net.eval()
        assert torch.equal(net(*features).video, net(*features).video)
        undropped = net.audio(features[0], net.token_types[1])
        kept = tokens != 0
        assert torch.allclose(tokens[kept], 2 * undropped[kept], atol=1e-5)


def test_norms_have_the_release_s_small_epsilon():
    net = network()
    norms = [m for m in net.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert len(norms) == 3 * 2 + 2 * 2
    assert {norm.eps for norm in norms} == {1e-12}


def test_one_layer_by_hand(features):
    """Attention in heads of consecutive channels, post-norm, no bias of its own for the mask."""
    net = network(layers=1).double().eval()
    layer, x = net.layers[0], torch.randn(2, 30, 32, dtype=torch.float64)
    with torch.no_grad():
        q, k, v = (p(x).unflatten(-1, (8, 4)) for p in (layer.query, layer.key, layer.value))
        heads = []
        for h in range(8):
            scores = q[:, :, h] @ k[:, :, h].transpose(1, 2) / 2
            heads.append((scores - 10_000.0 * (torch.arange(30) >= 20)).softmax(-1) @ v[:, :, h])
        y = layer.norm_attention(x + layer.out_projection(torch.cat(heads, -1)))
        z = layer.norm_feed_forward(y + layer.contract(functional.gelu(layer.expand(y))))
        assert torch.allclose(layer(x, torch.arange(30)[None] < 20), z, atol=1e-12)


def test_similarity_is_of_sound_with_sight(features):
    net = network().eval()
    with torch.no_grad():
        parsing, tokens = net(*features), net.tokens(*features)
    wanted = functional.cosine_similarity(tokens.audio[1, 2], tokens.visual_2d[1, 7], dim=0)
    assert parsing.extras["similarity"][1, 2, 7].item() == pytest.approx(wanted.item(), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hidden": 100}, "hidden is 100; it must be a multiple of heads, 8"),
        ({"positions": "learnt"}, "positions is 'learnt'; it must be 'noise' or 'sinusoid'"),
        ({"depth": 3}, "model 'avg' has no option 'depth'"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(AvvpError, match=sentence):
        build("avg", **options)
