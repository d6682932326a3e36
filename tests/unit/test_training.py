"""Training: schedule, dropout, selection, resumption, devices."""

import io
import json
import math
import pickle
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from avvp import training
from avvp.data.videos import Videos, shuffled
from avvp.errors import AvvpError
from avvp.events import Thresholds
from avvp.losses import AdversarialObjective, Objective, Targets, weak_targets
from avvp.models import build
from avvp.training import TrainingConfig, fit, predict, seeded
from tests.elsewhere import Elsewhere


@pytest.fixture(scope="module")
def videos():
    g = torch.Generator().manual_seed(3)
    truth = torch.rand(24, 25, 10, generator=g) < 0.1

    def normal(*shape):
        return torch.randn(*shape, generator=g)

    return Videos(
        ids=tuple(f"v{i}" for i in range(24)),
        audio=normal(24, 10, 128),
        visual_2d=normal(24, 10, 2048),
        visual_3d=normal(24, 10, 512),
        weak=truth.any(2),
        true_audio=truth,
        true_visual=truth.flip(0),
        fingerprint="made",
    )


def small(seed=1):
    return seeded(seed, lambda: build("han", width=32))


def run(videos, folder, *, network=None, objective=None, targets=None, **options):
    network = network or small()
    config = TrainingConfig(**{"epochs": 3, "batch_size": 5, **options})
    objective = objective or Objective()
    result = fit(
        network, videos, videos, objective=objective, config=config, seed=1, folder=folder,
        targets=targets, progress=False, checkpoint_seconds=0.0,
    )  # fmt: skip
    return network, result


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_learning_rate_of_each_epoch():
    config = TrainingConfig()
    rates = [config.learning_rate_at(e) for e in (1, 10, 11, 20, 21, 31, 40)]
    assert rates == pytest.approx([3e-4, 3e-4, 3e-5, 3e-5, 3e-6, 3e-7, 3e-7])
    assert config.scaled_to(12).decay_every == 3
    assert config.scaled_to(1).decay_every == 1


def test_the_history_holds_the_rate_that_was_used(videos, tmp_path):
    _, result = run(videos, tmp_path, decay_every=2)
    assert [e["learning_rate"] for e in result.history] == pytest.approx([3e-4, 3e-4, 3e-5])
    assert result.history[0]["loss"] > 0 and "val/event/event_av" in result.history[0]


def test_the_same_seed_gives_the_same_numbers(videos, tmp_path):
    one, first = run(videos, tmp_path / "one")
    other, second = run(videos, tmp_path / "other")
    assert same_weights(one, other) and first.history == second.history


def test_another_seed_gives_other_numbers(videos, tmp_path):
    one, _ = run(videos, tmp_path / "one")
    other, _ = run(videos, tmp_path / "other", network=small(seed=2))
    assert not same_weights(one, other)


@pytest.mark.parametrize("stop_after", [1, 3, 5, 6, 11])
def test_a_run_cut_off_at_any_step_ends_the_same(videos, tmp_path, cut_off, stop_after):
    whole, expected = run(videos, tmp_path / "whole")
    with cut_off(training, "train_step", after=stop_after):
        run(videos, tmp_path / "cut")
    # Other random numbers in between, as in a new process.
    resumed, result = run(videos, tmp_path / "cut", network=small(seed=9))
    assert same_weights(whole, resumed)
    assert result.history == expected.history
    assert result.selected_epoch == expected.selected_epoch


class Told(nn.Module):
    """A network that notes what it is told of its progress."""

    def __init__(self):
        super().__init__()
        self.inner, self.told = small(), []

    def at_progress(self, done, *, epochs):
        self.told.append((done, epochs))

    def forward(self, *features):
        return self.inner(*features)


def test_a_network_is_told_its_progress_before_every_step(videos, tmp_path):
    network, _ = run(videos, tmp_path, network=Told())
    assert network.told == [(step / 15, 3) for step in range(15)]


def adversary(seed=1):
    return seeded(seed, lambda: build("cross_modal", width=16))


@pytest.mark.parametrize("stop_after", [2, 5, 8])
def test_a_resumed_run_goes_on_with_the_strength_it_would_have_had(
    videos, tmp_path, monkeypatch, cut_off, stop_after
):
    adversarial = {"objective": AdversarialObjective(), "epochs": 2}
    step, strengths = training.train_step, []

    def noting(network, *arguments):
        strengths.append(network.reversal_strength.item())
        return step(network, *arguments)

    monkeypatch.setattr(training, "train_step", noting)
    whole, expected = run(videos, tmp_path / "whole", network=adversary(), **adversarial)
    uncut, strengths = strengths, []
    assert uncut == pytest.approx([math.tanh(5 * (i / 10 + 1 / 2)) for i in range(10)])
    assert "modality_accuracy" in expected.history[0]

    with cut_off(training, "train_step", after=stop_after):
        run(videos, tmp_path / "cut", network=adversary(), **adversarial)
    resumed, result = run(videos, tmp_path / "cut", network=adversary(seed=9), **adversarial)
    assert strengths == uncut
    assert same_weights(whole, resumed)  # the statistics of the batch norms too
    assert result.history == expected.history


def test_a_finished_run_is_not_trained_again(videos, tmp_path, monkeypatch):
    whole, _ = run(videos, tmp_path)
    monkeypatch.setattr(training, "train_step", None)
    again, _ = run(videos, tmp_path, network=small(seed=9))
    assert same_weights(whole, again)


def test_a_finished_run_keeps_its_weights_once_and_no_optimizer(videos, tmp_path):
    run(videos, tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {training.CHECKPOINT, training.SELECTED}
    assert 10 * sizes[training.CHECKPOINT] < sizes[training.SELECTED]


def test_a_finished_run_of_before_is_not_trained_again(videos, tmp_path, monkeypatch):
    """Its checkpoint holds network and optimizer still; so it does if it was cut off at the end."""
    monkeypatch.setattr(training.Course, "finish", lambda course: None)
    run(videos, tmp_path / "cut")
    assert (tmp_path / "cut" / training.BEST).exists()
    monkeypatch.undo()
    whole, expected = run(videos, tmp_path / "whole")
    monkeypatch.setattr(training, "train_step", None)
    finished, result = run(videos, tmp_path / "cut", network=small(seed=9))
    assert same_weights(whole, finished) and result.history == expected.history
    left = [{p.name: p.stat().st_size for p in (tmp_path / n).iterdir()} for n in ("whole", "cut")]
    assert left[0] == pytest.approx(left[1], abs=100)  # the seconds are others


def test_a_folder_of_another_run_is_refused(videos, tmp_path):
    run(videos, tmp_path)
    with pytest.raises(AvvpError, match="another configuration"):
        run(videos, tmp_path, learning_rate=1e-3)
    with pytest.raises(AvvpError, match="another configuration"):
        run(videos, tmp_path, objective=Objective(visual_smoothing=0.0))


def same_targets(videos, *, at=0.0):
    return Targets(*(x + at for x in weak_targets(videos.weak)))


def test_targets_of_the_weak_labels_train_as_these_do(videos, tmp_path):
    one, first = run(videos, tmp_path / "one")
    other, second = run(videos, tmp_path / "other", targets=same_targets(videos))
    assert same_weights(one, other) and first.history == second.history


def test_targets_meet_batches_that_lie_on_a_gpu(videos, tmp_path, monkeypatch):
    """A split that is streamed to a GPU numbers its rows there; its labels stay here."""
    whole, _ = run(videos, tmp_path / "whole", targets=same_targets(videos))
    rows = Videos.rows

    def there(split, index):
        return rows(split, index)._replace(index=index.as_subclass(Elsewhere))

    monkeypatch.setattr(Videos, "rows", there)
    batch = videos.rows(torch.arange(3))
    with pytest.raises(RuntimeError, match="same device"):
        same_targets(videos).video[batch.index]
    streamed, _ = run(videos, tmp_path / "streamed", targets=same_targets(videos))
    assert same_weights(whole, streamed)


@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_of_other_targets_is_refused(videos, tmp_path, cut_off, finished):
    with nullcontext() if finished else cut_off(training, "train_step", after=7):
        run(videos, tmp_path, targets=same_targets(videos))
    nothing = Targets(*(torch.zeros_like(x) for x in same_targets(videos)))
    for other in (nothing, None):
        with pytest.raises(AvvpError, match="another configuration, network, seed, data set or"):
            run(videos, tmp_path, targets=other)
    run(videos, tmp_path, targets=same_targets(videos))


def test_targets_that_come_from_the_same_may_differ(videos, tmp_path, cut_off):
    """As on another device: a name is what counts, where there is one."""
    options = {"objective": Objective(), "config": TrainingConfig(), "seed": 1}
    exact, rough = (
        training.identity_of(videos, targets=same_targets(videos, at=at), **named, **options)
        for named in ({"targets_from": "both"},)
        for at in (0.0, 1e-6)
    )
    assert exact == rough
    unnamed = [
        training.identity_of(videos, targets=same_targets(videos, at=at), **options)
        for at in (0.0, 1e-6)
    ]
    assert unnamed[0] != unnamed[1]


def test_targets_of_other_videos_are_one_sentence(videos, tmp_path):
    few = Targets(*(x[:3] for x in same_targets(videos)))
    with pytest.raises(AvvpError, match=r"targets.video has shape \(3, 25\); expected .*\(24, 25"):
        run(videos, tmp_path, targets=few)


def rewritten(folder, change):
    """A checkpoint as ``change`` leaves its content."""
    path = folder / training.CHECKPOINT
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def of_before(content):
    """A checkpoint from before device, network and targets were kept."""
    del content["device"]
    identity = json.loads(content["identity"])
    del identity["network"], identity["targets"]
    content["identity"] = json.dumps(identity, sort_keys=True)


def test_a_folder_of_another_network_is_refused(videos, tmp_path, cut_off):
    with cut_off(training, "train_step", after=7):
        run(videos, tmp_path)
    wider = seeded(1, lambda: build("han", width=48))
    with pytest.raises(AvvpError, match="another configuration, network, seed"):
        run(videos, tmp_path, network=wider)
    rewritten(tmp_path, of_before)
    with pytest.raises(AvvpError, match="is of another network than this HAN; delete its folder"):
        run(videos, tmp_path, network=wider)


def test_a_course_of_before_goes_on(videos, tmp_path, cut_off):
    whole, _ = run(videos, tmp_path / "whole")
    with cut_off(training, "train_step", after=7):
        run(videos, tmp_path / "cut")
    rewritten(tmp_path / "cut", of_before)
    resumed, _ = run(videos, tmp_path / "cut", network=small(seed=9))
    assert same_weights(whole, resumed)
    rewritten(tmp_path / "whole", of_before)
    again, _ = run(videos, tmp_path / "whole", network=small(seed=9))
    assert same_weights(whole, again)


def begun_on_a_gpu(content):
    content["device"] = "cuda"
    content["random"]["cuda"] = torch.zeros(16, dtype=torch.uint8)


def begun_on_a_gpu_before(content):
    begun_on_a_gpu(content)
    of_before(content)


@pytest.mark.parametrize("change", [begun_on_a_gpu, begun_on_a_gpu_before])
def test_a_course_of_a_gpu_does_not_go_on_elsewhere(videos, tmp_path, cut_off, change):
    with cut_off(training, "train_step", after=7):
        run(videos, tmp_path)
    rewritten(tmp_path, change)
    with pytest.raises(AvvpError, match=r"was begun on cuda.*go on on cuda, or delete its fold"):
        run(videos, tmp_path)


@pytest.mark.parametrize("change", [begun_on_a_gpu, begun_on_a_gpu_before])
def test_what_a_gpu_has_finished_is_found_elsewhere(videos, tmp_path, change):
    whole, _ = run(videos, tmp_path)
    rewritten(tmp_path, change)
    again, _ = run(videos, tmp_path, network=small(seed=9))
    assert same_weights(whole, again)


def on_a_gpu(monkeypatch):
    """Let a course take the memory of this computer for that of a GPU, which has no generator."""
    monkeypatch.setattr(training, "device_of", lambda network: torch.device("cuda", 0))
    whole = training.read_checkpoint
    monkeypatch.setattr(
        training, "read_checkpoint", lambda path, device, advice: whole(path, advice=advice)
    )


def test_a_course_of_a_processor_does_not_go_on_on_a_gpu(videos, tmp_path, cut_off, monkeypatch):
    """The GPU is this computer under another name."""
    with cut_off(training, "train_step", after=7):
        run(videos, tmp_path)
    on_a_gpu(monkeypatch)
    with pytest.raises(AvvpError, match=r"was begun on cpu, and on cuda it would end with other"):
        run(videos, tmp_path)


def test_what_a_processor_has_finished_is_found_on_a_gpu(videos, tmp_path, monkeypatch):
    """The GPU is this computer under another name."""
    whole, expected = run(videos, tmp_path)
    before = (tmp_path / training.CHECKPOINT).read_bytes()
    on_a_gpu(monkeypatch)
    again, result = run(videos, tmp_path, network=small(seed=9))
    assert same_weights(whole, again) and result == expected
    assert (tmp_path / training.CHECKPOINT).read_bytes() == before


def test_a_course_goes_on_under_its_own_options_of_adam(videos, tmp_path, cut_off):
    """What is recorded needs its learning rate in a tensor; a checkpoint may hold a number."""
    with cut_off(training, "train_step", after=7):
        run(videos, tmp_path)
    told = torch.load(tmp_path / training.CHECKPOINT, weights_only=True)
    identity = {k: v for k, v in json.loads(told["identity"]).items() if k != "network"}
    course = training.Course(
        small(),
        folder=tmp_path,
        identity=identity,
        videos=24,
        batch_size=5,
        epochs=3,
        weight_decay=0.25,
        capturable=True,
        progress=False,
    )
    (group,) = course.optimizer.param_groups
    assert group["capturable"] and isinstance(group["lr"], torch.Tensor)
    assert group["weight_decay"] == 0.25
    steps = {state["step"].item() for state in course.optimizer.state.values()}
    assert steps == {7.0}


def test_cudnn_computes_float32_as_such_while_a_network_trains(videos, tmp_path, monkeypatch):
    """Forward and backward; cuDNN itself is not here, its switch is."""
    cudnn, seen = torch.backends.cudnn, []

    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small()

        def forward(self, *features):
            seen.append(("forward", self.training, cudnn.rnn.fp32_precision))
            parsing = self.inner(*features)
            if parsing.video.requires_grad:
                parsing.video.register_hook(
                    lambda _: seen.append(("backward", True, cudnn.rnn.fp32_precision))
                )
            return parsing

    kept = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision)
    run(videos, tmp_path, network=Looking(), epochs=1)
    assert set(seen) == {
        ("forward", True, "ieee"),
        ("forward", False, "ieee"),
        ("backward", True, "ieee"),
    }
    assert cudnn.rnn.fp32_precision == "tf32"
    assert kept == (
        cudnn.enabled,
        cudnn.benchmark,
        cudnn.deterministic,
        cudnn.conv.fp32_precision,
    )


DAMAGED = {
    "half": lambda content: content[:1000],
    "empty": lambda content: b"",
    "text": lambda content: b"a checkpoint\n",
    "foreign pickle": lambda content: pickle.dumps(Path("elsewhere")),
    "other tensors": lambda content: saved({"weights": torch.zeros(2)}),
    "one tensor": lambda content: saved(torch.zeros(2)),
}


def saved(content):
    torch.save(content, buffer := io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_checkpoint_is_one_sentence(videos, tmp_path, damage):
    run(videos, tmp_path, epochs=1)
    path = tmp_path / training.CHECKPOINT
    path.write_bytes(DAMAGED[damage](path.read_bytes()))
    with pytest.raises(AvvpError, match=r"not a checkpoint of tensors|of another conf") as caught:
        run(videos, tmp_path, epochs=1)
    assert "\n" not in str(caught.value)


def test_a_finished_run_without_its_weights_is_one_sentence(videos, tmp_path):
    run(videos, tmp_path, epochs=1)
    (tmp_path / training.SELECTED).unlink()
    with pytest.raises(AvvpError, match=r"selected.pt is not there; delete its folder"):
        run(videos, tmp_path, epochs=1)


def scripted(monkeypatch, scores):
    values = iter(scores)
    fixed = Thresholds(0.5, 0.5)
    monkeypatch.setattr(
        training, "validate", lambda *_: ({"segment/type_av": next(values)}, fixed), raising=True
    )


@pytest.mark.parametrize(
    ("selection", "scores", "epoch"),
    [
        ("best", [1, 5, 2], 2),
        ("best", [5, 5, 2], 2),
        ("last", [5, 1, 2], 3),
        ("best", [0, 0, 0], 3),
    ],
)
def test_selection(videos, tmp_path, monkeypatch, selection, scores, epoch):
    scripted(monkeypatch, scores)
    network, result = run(videos, tmp_path, selection=selection)
    assert result.selected_epoch == epoch
    # The weights are those of that epoch: train so many epochs and no more.
    scripted(monkeypatch, [0] * epoch)
    shorter, _ = run(videos, tmp_path / "shorter", epochs=epoch, selection="last")
    assert same_weights(network, shorter)


def test_dropout_acts_in_training_and_not_in_evaluation(videos):
    network = small()
    batch = next(videos.batches(batch_size=4))
    network.train()
    one, other = (network(*batch[1:4]).video for _ in range(2))
    assert not torch.equal(one, other)
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {0.1}
    network.eval()
    one, other = (network(*batch[1:4]).video for _ in range(2))
    assert torch.equal(one, other)


class Logits(nn.Module):
    """A network without its sigmoid, which draws numbers whatever its mode."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = build("linear")

    def forward(self, *features):
        parsing = self.inner(*features)
        noise = torch.rand(())
        return parsing._replace(segment_audio=(parsing.segment_audio * 0.9).logit() - 9 * noise)


def test_a_network_without_probabilities_is_not_trained(videos, tmp_path):
    with pytest.raises(AvvpError, match="Logits: segment_audio of its parsing holds -"):
        run(videos, tmp_path, network=Logits())
    assert not list(tmp_path.iterdir())


def test_a_look_at_a_network_draws_no_number_and_leaves_its_mode(videos):
    network = Logits().train()
    drawn = torch.get_rng_state()
    with pytest.raises(AvvpError, match="Logits"):
        training.check_network(network, videos)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert network.training


def test_predict_keeps_order_and_mode(videos):
    network = small().train()
    whole = predict(network, videos, batch_size=24)
    pieces = predict(network, videos, batch_size=7)
    assert network.training
    torch.testing.assert_close(whole.segment_audio, pieces.segment_audio)
    assert whole.extras["attention_over_time"].shape == (24, 10, 2, 25)


def test_extras_of_the_network_itself_are_not_taken_for_videos(videos):
    network = seeded(1, lambda: build("mgn", depths=(1, 1, 1), width=16))
    twenty_five = torch.arange(50) % 24
    many = replace(
        videos,
        ids=videos.ids + videos.ids + videos.ids[:2],
        **{n: getattr(videos, n)[twenty_five] for n in ("audio", "visual_2d", "visual_3d", "weak")},
    )
    extras = predict(network, many, batch_size=25).extras
    assert "token_logits_audio" not in extras and len(extras["assignment_audio"]) == 50


def test_bfloat16_differs_a_little(videos):
    network = small().eval()
    exact = predict(network, videos)
    rough = predict(network, videos, precision="bfloat16")
    difference = (exact.segment_visual - rough.segment_visual).abs().max()
    assert 0 < difference < 0.05
    assert rough.segment_visual.dtype == torch.float32


def test_orders():
    g = torch.Generator().manual_seed(0)
    order = shuffled(23, chunk=5, generator=g)
    assert sorted(order.tolist()) == list(range(23))
    heads = [set(range(i, min(i + 5, 23))) for i in range(0, 23, 5)]
    rest = order.tolist()
    while rest:
        chunk = next(h for h in heads if rest[0] in h)
        assert set(rest[: len(chunk)]) == chunk
        rest = rest[len(chunk) :]


@pytest.mark.parametrize(
    "options",
    [{"epochs": 0}, {"batch_size": 0}, {"selection": "first"}, {"precision": "float8"}],
)
def test_bad_options(options):
    with pytest.raises(AvvpError, match=f"{next(iter(options))} is"):
        TrainingConfig(**options)


def test_history_is_plain_json(videos, tmp_path):
    _, result = run(videos, tmp_path, epochs=1)
    assert json.loads(json.dumps(result.history)) == result.history
