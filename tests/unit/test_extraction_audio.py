"""Log-mel pictures of sounds whose spectrum has a formula, and VGGish."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from avvp.extraction.audio import VGGish, examples, log_mel, mel, mel_weights

SECOND = np.arange(16_000) / 16_000


def sine(frequency: float, loud: float = 0.5) -> np.ndarray:
    return loud * np.sin(2 * np.pi * frequency * SECOND)


def test_silence_is_the_logarithm_of_the_offset():
    picture = log_mel(np.zeros(16_000))
    assert picture.shape == (98, 64)
    assert np.all(picture == np.log(0.01))


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (15_600, 96)])
def test_only_complete_frames_count(samples, frames):
    assert log_mel(np.zeros(samples)).shape == (frames, 64)


def test_mel_has_its_formula_and_a_thousand_hertz_near_a_thousand():
    assert mel(0.0) == 0
    assert mel(700.0) == pytest.approx(1127 * np.log(2))
    assert mel(1000.0) == pytest.approx(1000, abs=0.1)


def test_bands_are_triangles_over_equal_steps_in_mel():
    weights = mel_weights()
    assert weights.shape == (257, 64)
    assert not weights[0].any() and weights.min() == 0 and weights.max() <= 1
    edges = 700 * np.expm1(np.linspace(mel(125), mel(7500), 66) / 1127)  # in hertz
    bins = np.arange(257) * 8000 / 256
    for band in range(64):  # 125 and 7500 Hz are bins: nothing but rounding there
        inside = (bins > edges[band] + 1e-6) & (bins < edges[band + 2] - 1e-6)
        assert np.array_equal(weights[:, band] > 1e-9, inside)
    # Between two peaks the two triangles that overlap there add up to one.
    between = (bins > edges[1]) & (bins < edges[64])
    np.testing.assert_allclose(weights[between].sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("frequency", [250.0, 1000.0, 3000.0, 6000.0])
def test_a_sine_lies_where_and_as_loud_as_its_formula_says(frequency):
    """The magnitude of a windowed sine at a bin is half its height times the window's transform."""
    picture = log_mel(sine(frequency))
    edges = np.linspace(mel(125), mel(7500), 66)
    expected = int(np.abs(edges[1:-1] - mel(frequency)).argmin())
    assert set(picture.argmax(axis=1)) <= {expected - 1, expected, expected + 1}
    # The periodic Hann window of length 400 is half a constant minus two quarter turns.
    offsets = 2 * np.pi * (np.arange(257) / 512 - frequency / 16_000)

    def kernel(angle):
        return np.exp(1j * angle * np.arange(400)[:, None]).sum(axis=0)

    turn = 2 * np.pi / 400
    window = 0.5 * kernel(-offsets) - 0.25 * (kernel(-offsets + turn) + kernel(-offsets - turn))
    formula = np.log(np.abs(0.25 * window) @ mel_weights() + 0.01)
    loud = formula > 0  # elsewhere the mirrored half of the spectrum counts too
    assert loud.sum() >= 2
    np.testing.assert_allclose(picture[:, loud], np.tile(formula[loud], (98, 1)), atol=0.02)


def test_it_is_the_magnitude_and_not_the_power():
    quiet, loud = log_mel(sine(1000, 0.2)), log_mel(sine(1000, 0.4))
    band = loud[0].argmax()
    difference = np.log(np.exp(loud[:, band]) - 0.01) - np.log(np.exp(quiet[:, band]) - 0.01)
    np.testing.assert_allclose(difference, np.log(2), atol=1e-9)


def test_a_chirp_climbs_through_the_bands():
    """From 300 to 6300 Hz in a second: frame t is centred at 12.5 + 10 t ms."""
    chirp = 0.5 * np.sin(2 * np.pi * (300 * SECOND + 3000 * SECOND**2))
    peaks = log_mel(chirp).argmax(axis=1)
    centres = np.linspace(mel(125), mel(7500), 66)[1:-1]
    moments = 0.0125 + 0.01 * np.arange(98)
    expected = np.abs(mel(300 + 6000 * moments)[:, None] - centres).argmin(axis=1)
    assert np.abs(peaks - expected).max() <= 1
    assert np.all(np.diff(peaks) >= 0)


def test_the_picture_is_a_loop_over_the_samples():
    """The same, written as the recipe reads."""
    sound = np.random.default_rng(0).normal(0, 0.1, 720)
    weights = mel_weights()
    for t, found in enumerate(log_mel(sound)):
        frame = sound[160 * t : 160 * t + 400].copy()
        for k in range(400):
            frame[k] *= 0.5 - 0.5 * np.cos(2 * np.pi * k / 400)
        angles = 2 * np.pi * np.outer(np.arange(257), np.arange(400)) / 512
        magnitude = np.abs((frame * np.exp(-1j * angles)).sum(axis=1))
        np.testing.assert_allclose(found, np.log(magnitude @ weights + 0.01), atol=1e-9)


def test_every_second_is_on_its_own():
    sound = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
    pictures = examples(sound)
    assert pictures.shape == (10, 1, 96, 64) and pictures.dtype == torch.float32
    changed = sound.copy()
    changed[48_000:64_000] = 0
    same = (examples(changed) == pictures).flatten(1).all(dim=1)
    assert same.tolist() == [n != 3 for n in range(10)]
    np.testing.assert_allclose(
        pictures[3, 0].numpy(), log_mel(sound[48_000:64_000].astype(float))[:96], atol=1e-6
    )


@pytest.fixture(scope="module")
def vggish() -> VGGish:
    torch.manual_seed(0)
    return VGGish().eval()


def test_vggish_has_the_names_of_the_published_port(vggish):
    shapes = {name: tuple(value.shape) for name, value in vggish.state_dict().items()}
    widths = {
        0: (64, 1),
        3: (128, 64),
        6: (256, 128),
        8: (256, 256),
        11: (512, 256),
        13: (512, 512),
    }
    dense = {0: (4096, 12288), 2: (4096, 4096), 4: (128, 4096)}
    expected = {f"features.{n}.weight": (*shape, 3, 3) for n, shape in widths.items()}
    expected |= {f"features.{n}.bias": shape[:1] for n, shape in widths.items()}
    expected |= {f"embeddings.{n}.weight": shape for n, shape in dense.items()}
    expected |= {f"embeddings.{n}.bias": shape[:1] for n, shape in dense.items()}
    assert shapes == expected


@torch.inference_mode()
def test_vggish_is_the_network_of_the_recipe(vggish):
    pictures = torch.randn(2, 1, 96, 64)
    state = vggish.state_dict()

    def convolve(x, n):
        weight, bias = state[f"features.{n}.weight"], state[f"features.{n}.bias"]
        return functional.conv2d(x, weight, bias, padding=1).relu()

    x = functional.max_pool2d(convolve(pictures, 0), 2)
    x = functional.max_pool2d(convolve(x, 3), 2)
    x = functional.max_pool2d(convolve(convolve(x, 6), 8), 2)
    x = functional.max_pool2d(convolve(convolve(x, 11), 13), 2)
    assert x.shape == (2, 512, 6, 4)
    x = torch.stack([x[:, c, h, w] for h in range(6) for w in range(4) for c in range(512)], dim=1)
    for n in (0, 2, 4):
        x = (x @ state[f"embeddings.{n}.weight"].T + state[f"embeddings.{n}.bias"]).relu()
    found = vggish(pictures)
    assert found.shape == (2, 128) and found.min() >= 0
    torch.testing.assert_close(found, x)
