"""The simulator: deterministic whatever the size, labels like LLP's, named assumptions."""

from dataclasses import replace

import pytest
import torch

from avvp.data import load
from avvp.data.label_model import draw_seconds, draw_weak
from avvp.data.oracle import oracle
from avvp.data.simulate import (
    BLOCK,
    FAMILIES,
    SimulatorConfig,
    draw_blocks,
    simulate,
    smear,
    world_of,
)
from avvp.data.statistics import read_statistics
from avvp.errors import AvvpError
from avvp.events import LABELS, decode
from avvp.metrics import evaluate

SMALL = SimulatorConfig(train=20, val=8, test=12)
TENSORS = ("audio", "visual_2d", "visual_3d", "weak", "true_audio", "true_visual")


def same(one, other, rows=slice(None)) -> bool:
    return all(torch.equal(getattr(one, n), getattr(other, n)[rows]) for n in TENSORS)


@pytest.fixture(scope="module")
def labels():
    generator = torch.Generator().manual_seed(0)
    weak = draw_weak(6_000, "test", generator)
    return weak, *draw_seconds(weak, generator)


def test_the_same_seed_gives_the_same_videos():
    one, other = simulate(SMALL, "val"), simulate(SMALL, "val")
    assert same(one, other) and one.ids == other.ids and one.fingerprint == other.fingerprint


def test_seeds_and_splits_differ():
    val = simulate(SMALL, "val")
    assert not same(val, simulate(replace(SMALL, seed=1), "val"))
    assert not torch.equal(val.audio, simulate(SMALL, "train").audio[:8])
    assert len({SMALL.fingerprint(s) for s in ("train", "val", "test")}) == 3


def test_a_longer_split_starts_with_the_same_videos():
    short = simulate(SMALL, "test")
    long = simulate(replace(SMALL, test=BLOCK + 7), "test")
    assert same(short, long, slice(12))
    assert len(long) == BLOCK + 7 and long.ids[:12] == short.ids


def test_the_size_of_another_split_changes_nothing():
    other = replace(SMALL, train=21)
    assert other.fingerprint("test") == SMALL.fingerprint("test")
    assert other.fingerprint("train") != SMALL.fingerprint("train")
    assert same(simulate(SMALL, "test"), simulate(other, "test"))


def test_shapes_and_agreement_of_weak_and_dense_labels():
    videos = simulate(SMALL, "train")
    assert videos.audio.shape == (20, 10, 128)
    assert videos.visual_2d.shape == (20, 10, 2048)
    assert videos.visual_3d.shape == (20, 10, 512)
    assert all((getattr(videos, n) >= 0).all() for n in TENSORS[:3])
    assert torch.equal(videos.weak, (videos.true_audio | videos.true_visual).any(2))


def test_weak_labels_follow_the_measured_counts(labels):
    of_split = read_statistics()["splits"]["test"]
    drawn = labels[0].sum(1).bincount(minlength=3)[1:4] / len(labels[0])
    measured = torch.tensor(of_split["labels_per_video"])[1:4] / of_split["videos"]
    assert (drawn - measured).abs().max() < 0.03
    share = labels[0].float().mean(0)
    assert (share - torch.tensor(of_split["class_counts"]) / of_split["videos"]).abs().max() < 0.05


def test_seconds_follow_the_measured_shares(labels):
    weak, audio, visual = labels
    dense = read_statistics()["dense"]["val+test"]
    pairs = weak.sum()
    cases = {
        "heard_only": audio.any(2) & ~visual.any(2),
        "seen_only": visual.any(2) & ~audio.any(2),
        "both": audio.any(2) & visual.any(2),
    }
    total = sum(sum(dense["weak_pairs"][name]) for name in cases)
    for name, drawn in cases.items():
        measured = sum(dense["weak_pairs"][name]) / total
        assert abs(drawn.sum() / pairs - measured) < 0.03, name
    for modality, mask in (("audio", audio), ("visual", visual)):
        measured = sum(dense["full_pairs"][modality]) / sum(dense["pairs"][modality])
        assert abs(mask.all(2).sum() / mask.any(2).sum() - measured) < 0.03
        runs = mask.any(2).sum()
        seconds = sum(dense["segments"][modality]) / sum(dense["pairs"][modality])
        assert abs(mask.sum() / runs - seconds) < 0.4


def test_speech_is_mostly_heard_only(labels):
    weak, _, visual = labels
    speech = LABELS.index("Speech")
    seen = visual[:, speech].any(1).sum() / weak[:, speech].sum()
    dense = read_statistics()["dense"]["val+test"]["weak_pairs"]
    assert abs(seen - dense["both"][speech] / sum(v[speech] for v in dense.values())) < 0.05


def test_more_one_modality_events():
    generator = torch.Generator().manual_seed(0)
    weak = draw_weak(2_000, "train", generator)
    shares = []
    for factor in (0.0, 1.0, 4.0):
        audio, visual = draw_seconds(weak, generator, one_modality=factor)
        shares.append(((audio.any(2) ^ visual.any(2)).sum() / weak.sum()).item())
    assert shares[0] == 0 and shares[0] < shares[1] < shares[2]


def test_every_class_has_one_family():
    assert sorted(name for family in FAMILIES for name in family) == sorted(LABELS)


def test_directions_share_what_their_family_shares():
    world = world_of(replace(SMALL, family_share=0.5, sub_class_share=0.2))
    directions = torch.nn.functional.normalize(world.directions["visual_2d"].mean(1), dim=-1)
    cosine = directions @ directions.T
    guitar, banjo, dog = (LABELS.index(n) for n in ("Acoustic_guitar", "Banjo", "Dog"))
    assert cosine[guitar, banjo] > 0.35 > cosine[guitar, dog]


def latents(**options):
    return next(draw_blocks(replace(SMALL, test=200, **options), "test"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("strength_audio", 20.0),
        ("missing_audio", 0.9),
        ("distractors_audio", 5.0),
        ("smear", 0.9),
        ("background", 4.0),
        ("shared_dynamics", 4.0),
        ("gain_spread", 0.0),
    ],
)
def test_an_assumption_changes_features_and_not_labels(option, value):
    before, after = latents(), latents(**{option: value})
    assert torch.equal(before.audio, after.audio) and torch.equal(before.visual, after.visual)
    assert not torch.equal(before.latents["audio"], after.latents["audio"])


def test_asynchrony_moves_the_visual_evidence_alone():
    before, after = latents(), latents(asynchrony=3.0)
    assert torch.equal(before.latents["audio"], after.latents["audio"])
    assert not torch.equal(before.latents["visual_3d"], after.latents["visual_3d"])


def test_shared_dynamics_correlate_the_modalities_in_a_second_only():
    block = latents(shared_dynamics=3.0, strength_audio=0.0, strength_visual=0.0, background=0.0)
    world = world_of(SMALL)
    styles = [
        block.latents[n].double() @ torch.linalg.pinv(world.style[n].double())
        for n in ("audio", "visual_2d")
    ]
    together = torch.corrcoef(torch.stack([s.flatten() for s in styles]))[0, 1]
    apart = torch.corrcoef(torch.stack([styles[0].flatten(), styles[1].roll(1, 1).flatten()]))[0, 1]
    assert together > 0.8 and abs(apart) < 0.1


def test_smear_keeps_what_stays_inside():
    level = torch.zeros(10)
    level[4] = 1
    assert smear(level, 0.2)[3:6].tolist() == pytest.approx([0.1, 0.8, 0.1])


def test_the_oracle_is_near_perfect_without_what_it_cannot_know():
    clear = replace(
        SMALL,
        test=200,
        strength_audio=20.0,
        strength_visual=20.0,
        missing_audio=0.0,
        missing_visual=0.0,
        distractors_audio=0.0,
        distractors_visual=0.0,
    )
    videos = simulate(clear, "test")
    scores = evaluate(
        *decode(oracle(clear, "test"), gate=None), videos.true_audio, videos.true_visual
    )
    assert scores["segment/type_av"] > 90


def test_load_takes_a_profile_by_name():
    assert len(load("smoke", "val")) == 32
    with pytest.raises(AvvpError, match="is no data set"):
        load("smok", "val")
    with pytest.raises(AvvpError, match="split is 'dev'"):
        load("smoke", "dev")


def test_real_labels_carry_simulated_features(shared):
    config = replace(SMALL, labels=str(shared / "llp"))
    real = load(config, "test")
    assert len(real) == 12 and not real.ids[0].startswith("sim")
    # Weak and dense annotations of LLP disagree here and there; the real ones are kept.
    assert real.true_audio.any() and real.weak.any(1).all()
    train = load(config, "train")
    assert torch.equal(train.weak, (train.true_audio | train.true_visual).any(2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train": 0}, "train is 0"),
        ({"missing_audio": 1.5}, "is a share"),
        ({"background": -1.0}, "background is -1.0; it must be finite and not negative"),
        ({"strength_audio": float("nan")}, "strength_audio is nan; it must be finite"),
        ({"background": float("inf")}, "background is inf; it must be finite"),
        ({"family_share": 0.7, "sub_class_share": 0.7}, "add up to over 1"),
    ],
)
def test_impossible_configurations(options, sentence):
    with pytest.raises(AvvpError, match=sentence):
        SimulatorConfig(**options)
