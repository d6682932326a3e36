"""Devices are found by name, and what a block of code takes of their memory is measured."""

import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from avvp.devices import (
    PeakMemory,
    asks_for_gpu,
    choose_device,
    device_of,
    drawn_on,
    on_gpu,
    random_state,
    set_random_state,
)
from avvp.errors import AvvpError


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(AvvpError, match="is not on this machine; it has"):
        choose_device("tpu")


@pytest.mark.parametrize(
    "device", ["cpu:x", "cpu:-1", "cpu:1", "cuda:1", "cuda:-1", "cuda:256", "mps", "meta", ""]
)
def test_a_device_that_is_not_there_is_one_sentence(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(AvvpError) as caught:
        choose_device(device)
    assert str(caught.value) == (
        f"device {device!r} is not on this machine; it has cuda, cpu: name one of these, or auto."
    )


def test_devices_of_several_are_numbered(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cuda:7", elsewhere=True) == torch.device("cuda", 7)
    with pytest.raises(AvvpError, match=r"it has cuda, cuda:1, .*cpu: name one"):
        choose_device("cuda:2")
    with pytest.raises(AvvpError, match="name one of these, or auto"):
        choose_device("cpu:x", elsewhere=True)


def test_a_gpu_is_meant_by_name():
    assert [asks_for_gpu(name) for name in ("auto", "cuda", "cuda:1", "cpu", "mps")] == [
        None,
        True,
        True,
        False,
        False,
    ]
    assert [on_gpu(torch.device(name)) for name in ("cuda:1", "cpu", "mps")] == [True, False, False]


def test_random_numbers_go_on():
    kept = random_state(torch.device("cpu"))
    first = torch.rand(3)
    set_random_state(kept, torch.device("cpu"))
    assert torch.equal(torch.rand(3), first)
    assert drawn_on(kept) == "cpu" and drawn_on(kept | {"cuda": first}) == "cuda"


def test_random_numbers_of_mps_go_on(monkeypatch):
    there = {"state": torch.tensor([1, 2], dtype=torch.uint8)}
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: there["state"])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: there.update(state=state))
    mps = torch.device("mps")
    kept = random_state(mps)
    assert drawn_on(kept) == "mps"
    there["state"] = torch.tensor([3, 4], dtype=torch.uint8)
    set_random_state(kept, mps)
    assert there["state"].tolist() == [1, 2]
    without = {"cpu": kept["cpu"]}  # a checkpoint from before mps was kept
    set_random_state(without, mps)
    assert there["state"].tolist() == [1, 2]


def test_a_numbered_gpu_is_initialised_before_its_memory_is_watched(monkeypatch):
    """Of ``cuda`` alone torch finds the number, and so initialises; of ``cuda:1`` it does not."""
    called = []
    monkeypatch.setattr(torch.cuda, "init", lambda: called.append("init"))
    for name in ("reset_peak_memory_stats", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda _, name=name: called.append(name) or 7)
    with PeakMemory(torch.device("cuda:1")) as memory:
        pass
    assert called == ["init", "reset_peak_memory_stats", "max_memory_allocated"]
    assert memory.bytes == 7


TOLD_OF_PRECISION = {
    "nothing": "",
    "high": "torch.set_float32_matmul_precision('high')",
    "medium": "torch.set_float32_matmul_precision('medium')",
    "tf32": "torch.backends.fp32_precision = 'tf32'",
    "ieee": "torch.backends.fp32_precision = 'ieee'",
    "in an older way": "torch.backends.cuda.matmul.allow_tf32 = True",
}
PRECISION = """
import torch
from avvp.devices import exact_float32
parts = {
    name: getattr(getattr(torch.backends, name.partition(".")[0]), name.partition(".")[2])
    for name in ("cudnn.conv", "cudnn.rnn", "cuda.matmul", "mkldnn.matmul")
}
told
before = {name: part.fp32_precision for name, part in parts.items()}
for _ in range(2):
    with exact_float32():
        assert {part.fp32_precision for part in parts.values()} == {"ieee"}
    assert {name: part.fp32_precision for name, part in parts.items()} == before
try:
    with exact_float32():
        raise KeyError
except KeyError:
    assert {name: part.fp32_precision for name, part in parts.items()} == before
print(sorted({*before.values()}))
"""


@pytest.mark.parametrize("told", TOLD_OF_PRECISION)
def test_float32_is_exact_whatever_the_process_was_told(told):
    code = PRECISION.replace("told\n", f"{TOLD_OF_PRECISION[told]}\n", 1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if told != "ieee":
        assert "tf32" in done.stdout  # there was something to be exact against


def test_float32_is_exact_in_a_container_that_allows_rounding():
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    code = PRECISION.replace("told\n", "assert parts['cuda.matmul'].fp32_precision == 'tf32'\n", 1)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_a_network_without_parameters_is_one_sentence():
    with pytest.raises(AvvpError, match="ReLU has no parameters; there is nothing to train"):
        device_of(torch.nn.ReLU())


def test_peak_memory_sees_what_is_held_for_a_moment():
    device, threads = choose_device("cpu"), threading.active_count()
    with PeakMemory(device) as before:
        time.sleep(0.01)
    with PeakMemory(device) as during:
        held = torch.ones(100_000_000, dtype=torch.uint8)
        time.sleep(0.5)
        del held
    assert during.bytes > before.bytes + 50e6
    assert threading.active_count() == threads
