"""What is measured of the speed of training, and that operations are counted right."""

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from avvp.bench import (
    PROFILE,
    SEEDS,
    Timing,
    _step_apart,
    bench,
    bench_tables,
    read_benches,
    step_operations,
    timed,
    write_bench,
)
from avvp.cli import main
from avvp.errors import AvvpError
from avvp.events import SEGMENTS
from avvp.experiments import REGISTRY, Profile
from avvp.model_size import predicted_operations_han
from avvp.models.layers import AUDIO_SIZE, VISUAL_2D_SIZE, VISUAL_3D_SIZE
from avvp.results import RESULTS
from tests.deadly import Deadly

CPU = torch.device("cpu")
TINY = Profile("tiny", "test", train=32, val=4, test=8)


@pytest.fixture(scope="module")
def measured() -> dict:
    return bench(["reference/linear"], device="cpu", seeds=[1, 2], seconds=0.01, profile=TINY)


@pytest.mark.parametrize("name", ["han/han", "ma/c"])
def test_a_step_of_han_is_counted_as_by_hand(name):
    videos, width = 16, 512
    forward = predicted_operations_han(width, videos=videos)
    # Every product has two gradients, each as much work as itself: one for the weights, and one for
    # what came in, which features do not need.
    features = videos * 2 * SEGMENTS * width * (AUDIO_SIZE + VISUAL_2D_SIZE + VISUAL_3D_SIZE)
    # No loss of HAN looks at the similarity that MA's contrastive term is taken from.
    unused = 0 if name == "ma/c" else forward["between modules"]
    whole = sum(forward.values())
    assert step_operations(REGISTRY[name]) == whole + 2 * (whole - unused) - features


def test_operations_grow_with_the_batch_and_nothing_else_has_a_step():
    linear = REGISTRY["reference/linear"]
    assert step_operations(linear, videos=8) * 2 == step_operations(linear, videos=16) > 0
    with pytest.raises(AvvpError, match="reference/oracle trains nothing"):
        step_operations(REGISTRY["reference/oracle"])


def test_a_short_call_is_timed_many_times_and_the_first_does_not_count():
    calls = []

    def call() -> None:
        time.sleep(0.2 if not calls else 0.002)
        calls.append(None)

    spent = timed(call, device=CPU, seconds=0.1)
    assert 0.002 <= spent.seconds < 0.1
    assert spent.processor < spent.seconds
    assert 3 <= spent.repeats <= len(calls)


def test_of_several_devices_the_one_that_works_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append(device))
    second = torch.device("cuda", 1)
    timed(lambda: None, device=second, seconds=0, at_least=1)
    assert set(waited) == {second}


def test_every_number_has_its_device_and_load(measured):
    alone = [step for step in measured["steps"] if not step["together"]]
    assert [step["precision"] for step in alone] == ["float32", "bfloat16"]
    together = [step["seeds"] for step in measured["steps"] if step["together"]]
    assert together == [1, 2, 1, 2]
    operations = measured["experiments"][0]["operations"]
    for step in measured["steps"]:
        assert step["rate"] == pytest.approx(step["seeds"] * operations / step["processor"])
        assert step["share"] == step["rate"] / measured["matrix_rates"][step["precision"]]
        assert step["videos_a_second"] == pytest.approx(step["seeds"] * 16 / step["processor"])
        assert 0 < step["share"] < 1 and step["load"] >= 0 and step["peak_memory"] > 10**7
    assert measured["metrics"]["videos"] == measured["parsing"][0]["videos"] == TINY.test


def test_what_was_measured_before_does_not_count_as_memory():
    """This process holds more than a step of HAN takes in one of its own."""
    ballast = torch.ones(400_000_000)
    few = replace(PROFILE, train=32)
    step = _step_apart(REGISTRY["han/han"], None, CPU, "bfloat16", few, 0.0)
    assert step["peak_memory"] < 1e9 < ballast.nbytes


def test_a_process_that_is_killed_is_one_sentence():
    killed = replace(REGISTRY["reference/linear"], options=Deadly())
    with pytest.raises(AvvpError, match=r"linear, 2 seeds together, was killed.* fewer --seeds"):
        _step_apart(killed, 2, CPU, "float32", TINY, 0.0)


def test_a_processor_takes_as_many_seeds_as_an_accelerator(monkeypatch):
    monkeypatch.setattr("avvp.bench.timed", once)
    asked = []

    def entry(_, count: int | None, *__) -> dict:
        asked.append(count)
        return {"seconds": 1.0, "basis": 1.0}

    monkeypatch.setattr("avvp.bench._step_apart", entry)
    bench(["reference/linear"], device="cpu", seconds=0, profile=TINY)
    assert asked == [None, *SEEDS] * 2 and max(SEEDS) == 20


def once(call: Callable[[], object], **_) -> Timing:
    call()
    return Timing(1.0, 1.0, 1, 0.0)


def test_tables_say_what_was_measured_and_what_was_not(measured, tmp_path):
    write_bench(tmp_path / "cpu.json", measured)
    (tmp_path / "other.json").write_text('{"schema": 1}')
    (read,) = read_benches(tmp_path)
    shown = bench_tables(read)
    assert measured["device"] in shown
    steps, used, scoring = (table.splitlines()[2:] for table in shown.strip().split("\n\n\n"))
    assert len(steps) == len(used) == 2 + len(measured["steps"]) == 8 and len(scoring) == 4
    last = measured["steps"][-1]
    assert steps[-1] == (
        "| Linear, mean pooling | 2 seeds together | bfloat16 "
        f"| {1e3 * last['seconds']:,.1f} | {1e3 * last['processor']:,.1f} "
        f"| {last['videos_a_second']:,.0f} | {last['load']:.1f} |"
    )
    assert f"| {100 * last['share']:.0f} | {last['peak_memory'] / 1e9:.2f} |" in used[-1]
    whole = bench_tables(read | {"basis": "clock"})
    assert "of the processor |" in steps[0] and "a process for each step" in shown
    assert "of the processor |" not in whole.split("\n\n\n")[0] and "whole process" not in whole


def test_a_file_of_one_process_for_all_says_so_still(measured):
    old = {name: told for name, told in measured.items() if name != "processes"}
    shown = bench_tables(old | {"left_out": "20 seeds are left out."})
    assert "20 seeds are left out." in shown
    assert "Memory is the whole process's." in shown and "for each step" not in shown
    for content in read_benches(RESULTS / "bench"):
        assert content["device"] in bench_tables(content)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "cpu.json is no complete JSON"), ("kind", "cpu.json has schema 0, this avvp reads 1")],
)
def test_a_file_that_is_damaged_or_old_is_one_sentence(text, sentence, measured, tmp_path):
    content = text if text == "{" else json.dumps(measured | {"schema": 0})
    (tmp_path / "cpu.json").write_text(content)
    with pytest.raises(AvvpError, match=sentence):
        read_benches(tmp_path)


def test_the_command_refuses_no_seeds(capsys):
    assert main(["bench", "--seeds", "0"]) == 2
    assert "--seeds is 0; it must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_the_command_refuses_such_a_time(capsys, seconds):
    assert main(["bench", "--seconds", seconds]) == 2
    assert f"--seconds is {seconds}; it must be a number from 0 on" in capsys.readouterr().err


def test_committed_measurements_count_the_operations_of_today():
    found = read_benches(RESULTS / "bench")
    assert found
    for content in found:
        for told in content["experiments"]:
            assert told["experiment"] in REGISTRY
        han = next(e for e in content["experiments"] if e["experiment"] == "han/han")
        assert han["operations"] == step_operations(REGISTRY["han/han"])
