"""MGN: training mode, what the grouping can and cannot tell apart, and bad options."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from avvp.errors import AvvpError
from avvp.losses import Objective, weak_targets
from avvp.models import build
from avvp.models.mgn import (
    Assignment,
    DropPath,
    EncoderBlock,
    FeedForward,
    Grouping,
    score_map,
)
from avvp.training import seeded

# What a released soft score map can be: softmax over time of numbers between 0 and 1, plus one.
LEAST, MOST = 1 + 1 / (1 + 9 * math.e), 1 + math.e / (9 + math.e)


@pytest.fixture(scope="module")
def inputs():
    g = torch.Generator().manual_seed(0)
    return tuple(torch.randn(6, *size, generator=g) for size in ((10, 128), (10, 2048), (10, 512)))


def network(**options):
    """A small one with weights large enough for tokens and scores to differ."""
    made = seeded(1, lambda: build("mgn", **{"depths": (1, 1, 1), **options}))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def scores(parsing):
    return torch.cat([parsing.segment_audio, parsing.segment_visual, parsing.video[:, None]], 1)


def parse(made, inputs):
    with torch.no_grad():
        return made(*inputs)


def test_shapes(inputs):
    parsing = parse(network().eval(), inputs)
    assert parsing.video.shape == parsing.audio.shape == parsing.visual.shape == (6, 25)
    assert parsing.segment_audio.shape == parsing.segment_visual.shape == (6, 10, 25)
    shapes = {name: tuple(value.shape) for name, value in parsing.extras.items()}
    assert shapes == {
        "token_logits_audio": (25, 25),
        "token_logits_visual": (25, 25),
        "assignment_audio": (6, 25, 10),
        "assignment_visual": (6, 25, 10),
        "similarity": (6, 10, 10),
    }
    for modality in ("audio", "visual"):
        shares = parsing.extras[f"assignment_{modality}"].sum(dim=1)
        assert shares.allclose(torch.ones(6, 10))


# Initialisation


def test_weights_start_as_released():
    made = seeded(1, lambda: build("mgn"))
    assert not made.audio_token.any()
    assert not made.visual_token.any()
    for module in made.modules():
        if isinstance(module, nn.Linear):
            assert not module.bias.any()
            if module.weight.numel() > 10_000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert abs(module.weight.mean().item()) < 1e-3
        elif isinstance(module, nn.LayerNorm):
            assert module.eps == 1e-5
            assert (module.weight == 1).all()
            assert not module.bias.any()


# Drop-path


def test_drop_path_leaves_out_whole_samples_and_scales_the_rest():
    torch.manual_seed(0)
    branch = torch.randn(4000, 3, 2)
    done = DropPath(0.1).train()(branch)
    dropped = (done == 0).all(dim=(1, 2))
    assert done[~dropped].allclose(branch[~dropped] / 0.9)
    assert 0.08 < dropped.float().mean() < 0.12


def test_drop_path_does_nothing_in_evaluation_or_at_rate_zero():
    branch = torch.randn(8, 3, 2)
    assert torch.equal(DropPath(0.1).eval()(branch), branch)
    assert torch.equal(DropPath(0.0).train()(branch), branch)


def test_the_two_branches_of_a_block_are_dropped_separately():
    torch.manual_seed(0)
    block = EncoderBlock(16, drop_path=0.5).train()
    x = torch.randn(1, 5, 16).expand(400, -1, -1)
    done = block(x)
    kinds = done.flatten(1).round(decimals=4).unique(dim=0)
    assert len(kinds) == 4  # neither, the first, the second, both
    block.eval()
    first = block.attention(block.norm_attention(x[:1]))
    assert ((done - x[:1]).abs().amax((1, 2)) == 0).float().mean() == pytest.approx(0.25, abs=0.07)
    after = x[:1] + first / 0.5
    assert (done - after).abs().amax((1, 2)).min() < 1e-5


def test_every_encoder_block_has_the_same_rate():
    made = build("mgn", depths=(2, 1, 3))
    rates = [module.rate for module in made.modules() if isinstance(module, DropPath)]
    assert rates == [0.1] * 6


# Assignment


def test_each_element_is_shared_out_among_the_tokens():
    logits = torch.randn(2, 25, 10, generator=torch.Generator().manual_seed(0))
    for hard in (False, True):
        share = Assignment(16, hard=hard).eval().share(logits)
        assert share.sum(dim=1).allclose(torch.ones(2, 10))
        if hard:
            assert torch.equal(share.argmax(dim=1), logits.argmax(dim=1))
            assert torch.equal(share.round(), (share > 0.5).float())
            assert (share - share.round()).abs().max() < 1e-6


def test_a_hard_assignment_has_the_gradient_of_the_soft_one():
    g = torch.Generator().manual_seed(0)
    logits, weight = torch.randn(2, 25, 10, generator=g), torch.randn(2, 25, 10, generator=g)
    gradients = []
    for hard in (False, True):
        own = logits.clone().requires_grad_()
        (Assignment(16, hard=hard).eval().share(own) * weight).sum().backward()
        gradients.append(own.grad)
    assert gradients[0].allclose(gradients[1], atol=1e-7)


def test_noise_only_where_hard_and_training():
    logits = torch.zeros(2, 25, 10)
    for hard, training, noisy in (
        (True, True, True),
        (True, False, False),
        (False, True, False),
        (False, False, False),
    ):
        assignment = Assignment(16, hard=hard).train(training)
        one, other = assignment.share(logits), assignment.share(logits)
        assert torch.equal(one, other) != noisy


def test_noise_is_standard_gumbel():
    """Then the largest of noisy logits falls on each token as often as the softmax says."""
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])[None, :, None].expand(1, 4, 100_000)
    share = Assignment(16, hard=True).train().share(logits)
    assert share.mean(dim=(0, 2)).allclose(logits[0, :, 0].softmax(0), atol=0.01)


def test_what_a_token_gets_is_divided_by_the_sum_plus_one():
    torch.manual_seed(0)
    assignment = Assignment(16, hard=False).eval()
    tokens, elements = torch.randn(2, 4, 16), torch.randn(2, 7, 16)
    got, logits, share = assignment(tokens, elements)
    q, k, v = assignment.query(tokens), assignment.key(elements), assignment.value(elements)
    for i in range(4):
        expected = (share[0, i, :, None] * v[0]).sum(0) / (share[0, i].sum() + 1)
        assert got[0, i].allclose(assignment.out_projection(expected), atol=1e-6)
    assert logits[0, 1, 2].item() == pytest.approx((q[0, 1] @ k[0, 2]).item() / 4, rel=1e-4)


# Which blocks are stochastic


@pytest.mark.parametrize("unimodal", ["soft", "hard"])
@pytest.mark.parametrize("crossmodal", ["soft", "hard"])
def test_which_groupings_are_stochastic_in_training(unimodal, crossmodal):
    made = network(unimodal=unimodal, crossmodal=crossmodal, drop_path=0.0)
    groupings = {name: m for name, m in made.named_modules() if isinstance(m, Grouping)}
    g = torch.Generator().manual_seed(0)

    def stochastic(grouping):
        elements = torch.randn(4, 25, 128, generator=g)
        tokens = torch.randn(4, grouping.mix.expand.in_features, 128, generator=g)
        return not torch.equal(grouping(elements, tokens)[0], grouping(elements, tokens)[0])

    expected = {
        "segment_grouping": unimodal == "soft",
        "audio_grouping": unimodal == "hard",
        "visual_grouping": unimodal == "hard",
        "cross_modal_grouping": crossmodal == "hard",
    }
    assert {name: stochastic(m) for name, m in groupings.items()} == expected
    made.eval()
    assert not any(stochastic(m) for m in groupings.values())


@pytest.mark.parametrize("unimodal", ["soft", "hard"])
def test_training_is_stochastic_for_either_choice_and_evaluation_is_not(inputs, unimodal):
    made = network(unimodal=unimodal, drop_path=0.0).train()
    one, other = (scores(parse(made, inputs)) for _ in range(2))
    assert not torch.equal(one, other)
    made.eval()
    one, other = (scores(parse(made, inputs)) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("unimodal", ["soft", "hard"])
def test_the_extra_grouping_can_do_as_it_is_told(unimodal):
    hard = {
        extra: network(unimodal=unimodal, extra_grouping=extra).segment_grouping.assignment.hard
        for extra in ("released", "intended")
    }
    assert hard == {"released": unimodal == "soft", "intended": unimodal == "hard"}


def test_the_soft_score_map_has_no_noise_of_its_own(inputs):
    """With the extra block as soft as the others and drop-path off, training equals evaluation."""
    made = network(drop_path=0.0, extra_grouping="intended")
    assert torch.equal(scores(parse(made.train(), inputs)), scores(parse(made.eval(), inputs)))


# Time


def profile(score):
    """A segment score (B, T, C) relative to its mean over time."""
    return score / score.mean(dim=1, keepdim=True)


def test_rolled_audio_gives_the_same_audio_profile(inputs):
    made = network().double().eval()
    audio, visual_2d, visual_3d = (x.double() for x in inputs)
    plain = parse(made, (audio, visual_2d, visual_3d))
    rolled = parse(made, (audio.roll(3, 1), visual_2d, visual_3d))
    assert (plain.segment_audio - rolled.segment_audio).abs().max() < 1e-6
    # What the image does in time moves the visual profile along, and disturbs that of sound.
    moved = parse(made, (audio, visual_2d.roll(3, 1), visual_3d.roll(3, 1)))
    before, after = profile(plain.segment_visual), profile(moved.segment_visual)
    assert before.std(dim=1).max() > 1e-3
    assert (before.roll(3, 1) - after).abs().max() < 1e-6
    assert (profile(plain.segment_audio) - profile(moved.segment_audio)).abs().max() > 1e-4


def test_no_second_differs_much_from_another_in_the_soft_map(inputs):
    for scale in (1, 100):
        parsing = parse(network().eval(), tuple(scale * x for x in inputs))
        for segment, video in (
            (parsing.segment_audio, parsing.audio),
            (parsing.segment_visual, parsing.visual),
        ):
            score_map = segment / video[:, None]
            assert score_map.min() > LEAST - 1e-5
            assert score_map.max() < MOST + 1e-5
            assert (score_map.sum(dim=1) - 11).abs().max() < 1e-4
            ratio = segment.amin(dim=1) / segment.amax(dim=1)
            assert ratio.min() > (10 + math.e) / (9 + 2 * math.e) - 1e-5


def test_the_soft_map_comes_close_to_its_bounds():
    """One second wholly a class's own, the nine others not at all: and the reverse."""
    share = torch.zeros(1, 1, 10)
    share[..., 0] = 1
    assert 1 + share.softmax(2).max().item() == pytest.approx(MOST)
    assert 1 + (1 - share).softmax(2).min().item() == pytest.approx(LEAST)


def test_a_map_is_what_the_name_of_the_score_says():
    g = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 25, 10, generator=g)
    soft = logits.softmax(dim=1)
    hard = functional.one_hot(soft.argmax(dim=1), 25).transpose(1, 2).float()

    def maps(score, assignment=soft, **kind):
        return score_map(logits, assignment, score=score, **kind)

    assert maps("printed").equal(soft)
    assert maps("printed").sum(dim=1).allclose(torch.ones(4, 10))
    assert maps("over_time").sum(dim=2).allclose(torch.ones(4, 25))
    assert maps("released").equal(1 + soft.softmax(dim=2))
    assert maps("released", hard, hard=True).equal(hard)
    assert maps("video").equal(torch.ones(4, 25, 10))
    with pytest.raises(AvvpError, match="multiplies no map"):
        maps("segments")


def test_as_printed_at_most_one_class_a_second_passes_one_half(inputs):
    parsing = parse(network(score="printed").eval(), inputs)
    for segment in (parsing.segment_audio, parsing.segment_visual):
        assert (segment > 0.5).sum(dim=2).max() <= 1
        assert segment.sum(dim=2).max() <= 1 + 1e-5


@pytest.mark.parametrize("score", ["printed", "over_time", "video"])
def test_a_map_changes_no_weight_and_no_score_of_the_video(inputs, score):
    released, other = (parse(network(score=s).eval(), inputs) for s in ("released", score))
    for name in ("video", "audio", "visual"):
        assert getattr(released, name).equal(getattr(other, name))
    assert not released.segment_audio.allclose(other.segment_audio)


def test_in_its_own_time_sound_moves_along_with_its_seconds(inputs):
    made = network(audio_time="own", score="segments").double().eval()
    audio, visual_2d, visual_3d = (x.double() for x in inputs)
    plain = parse(made, (audio, visual_2d, visual_3d))
    rolled = parse(made, (audio.roll(3, 1), visual_2d, visual_3d))
    assert plain.segment_audio.std(dim=1).max() > 1e-2
    assert rolled.segment_audio.allclose(plain.segment_audio.roll(3, 1))
    assert rolled.segment_visual.allclose(plain.segment_visual)
    assert rolled.audio.allclose(plain.audio)


def test_scored_by_segment_a_video_is_a_weighted_mean_of_its_seconds(inputs):
    parsing = parse(network(audio_time="own", score="segments").eval(), inputs)
    for video, segment in (
        (parsing.audio, parsing.segment_audio),
        (parsing.visual, parsing.segment_visual),
    ):
        assert (segment.amin(dim=1) <= video + 1e-6).all()
        assert (video <= segment.amax(dim=1) + 1e-6).all()


def test_without_cross_modal_grouping_the_modalities_meet_in_a_mean(inputs):
    made = network(crossmodal_grouping=False).eval()
    with torch.no_grad():
        grouped = made.features(*inputs)
    assert grouped.both.allclose((grouped.audio + grouped.visual) / 2)
    assert not any(name.startswith("cross_modal") for name in made.state_dict())


def test_without_unimodal_grouping_every_second_has_the_score_of_the_video(inputs):
    made = network(unimodal_grouping=False, score="video").eval()
    parsing = parse(made, inputs)
    assert parsing.segment_audio.equal(parsing.audio[:, None].expand(-1, 10, -1))
    groupings = {name.partition(".")[0] for name in made.state_dict() if "grouping" in name}
    assert groupings == {"cross_modal_grouping"}


def test_token_scores_count_tokens_that_know_their_class():
    made = network()
    with torch.no_grad():
        made.token_classifier.weight.zero_()
        made.token_classifier.weight[:, :25] = torch.eye(25)
        made.token_classifier.bias.zero_()
        made.audio_token.zero_()
        made.audio_token[:, :25] = torch.eye(25)
        made.visual_token.copy_(made.audio_token)
        made.visual_token[0] = made.audio_token[1]  # token 0 passes for class 1
    scores = made.token_scores()
    assert scores["token_audio_precision"] == scores["token_audio_f1"] == 1
    assert scores["token_visual_recall"] == pytest.approx(24 / 25)
    assert scores["token_visual_precision"] == pytest.approx(23.5 / 25)
    assert scores["token_visual_f1"] == pytest.approx((23 + 2 / 3) / 25)


def test_hard_assignment_gives_each_second_one_class(inputs):
    parsing = parse(network(unimodal="hard").eval(), inputs)
    for segment in (parsing.segment_audio, parsing.segment_visual):
        assert ((segment > 1e-5).sum(dim=2) == 1).all()


def test_pooled_frames_give_the_same_output(inputs):
    audio, visual_2d, visual_3d = inputs
    made = network().eval()
    frames = visual_2d.repeat_interleave(8, dim=1)
    pooled, framed = (parse(made, (audio, x, visual_3d)) for x in (visual_2d, frames))
    assert (scores(pooled) - scores(framed)).abs().max() < 1e-4


# Learning, and options


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unimodal": "hard", "crossmodal": "hard"},
        {"crossmodal_grouping": False},
        {"unimodal_grouping": False, "score": "video"},
        {"audio_time": "own", "score": "segments"},
    ],
)
def test_every_parameter_learns(inputs, options):
    made = network(**options).train()
    objective = Objective(
        weights=dict.fromkeys(("video", "audio", "visual", "token_class"), 1.0)
    )  # fmt: skip
    targets = weak_targets(torch.eye(6, 25))
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        total, _ = objective(made(*inputs), targets)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert all(p.grad is not None for p in made.parameters())
    assert losses[-1] < losses[0]


def test_token_mixing_has_its_own_hidden_size():
    mix = Grouping(25, 128, hard=False).mix
    assert isinstance(mix, FeedForward)
    assert mix.expand.weight.shape == (64, 25)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depths": (0, 3, 6)}, r"depths is \(0, 3, 6\); expected three whole numbers"),
        ({"depths": (3, 6)}, r"depths is \(3, 6\); expected three whole numbers"),
        ({"depths": 3}, "depths is 3; expected three whole numbers"),
        ({"depths": (3, 3, 1.5)}, "expected three whole numbers"),
        ({"unimodal": "firm"}, "unimodal is 'firm'; it must be 'soft' or 'hard'"),
        ({"crossmodal": None}, "crossmodal is None; it must be 'soft' or 'hard'"),
        ({"score": "best"}, "score is 'best'; it must be one of released, printed"),
        ({"audio_time": "late"}, "audio_time is 'late'; it must be 'visual' or 'own'"),
        ({"extra_grouping": "soft"}, "extra_grouping is 'soft'; it must be 'released' or"),
        ({"crossmodal_grouping": "no"}, "crossmodal_grouping is 'no'; it must be True or False"),
        ({"unimodal_grouping": False}, "score is 'released', but without unimodal grouping"),
        ({"width": 100}, "width is 100; it must be a multiple of 8"),
        ({"width": 0}, "width is 0; it must be a multiple of 8"),
        ({"drop_path": 1.0}, r"drop_path is 1.0; it must be in \[0, 1\)"),
        ({"heads": 8}, "model 'mgn' has no option 'heads'"),
    ],
)
def test_impossible_options_are_one_sentence(options, sentence):
    with pytest.raises(AvvpError, match=sentence):
        build("mgn", **options)


def test_lists_are_depths_too():
    """As a configuration that was written to JSON has them."""
    assert len(build("mgn", depths=[1, 2, 1]).visual_encoder) == 2
