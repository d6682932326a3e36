"""Hand formulas of sizes against the networks that train, and against the released files."""

import math

import pytest
import torch

from avvp import model_size
from avvp.errors import AvvpError
from avvp.models import build
from avvp.parity import names_and_shapes, open_golden
from tests.book.conftest import ROOT

GOLDEN = ROOT / "tests" / "parity" / "golden"


@pytest.mark.parametrize("depths", [(1, 1, 2), (3, 3, 6), (2, 4, 1)])
@pytest.mark.parametrize("width", [128, 64])
def test_mgn_is_as_big_as_predicted(depths, width):
    network = build("mgn", depths=depths, width=width)
    assert model_size.predicted_mgn(depths, width) == model_size.measured(network)


def test_han_is_as_big_as_predicted():
    assert model_size.predicted_han() == model_size.measured(build("han"))


def test_an_encoder_block_of_mgn_has_198272_numbers():
    assert model_size.encoder_block(128) == 198_272


def test_sizes_of_every_depth_are_those_of_the_release():
    archive, _ = open_golden(GOLDEN, "mgn.npz")
    for *depths, stored, used, saved in archive["size_table"].tolist():
        assert sum(model_size.predicted_mgn(depths).values()) == stored == used
        shapes = model_size.released_shapes("mgn", depths=tuple(depths))
        assert sum(map(math.prod, shapes.values())) == stored
        # A few bytes an entry depend on the version of torch and on what else is saved.
        assert model_size.saved_bytes(shapes) == pytest.approx(saved, rel=2e-3)
    stored, used = archive["han_size"].tolist()
    assert sum(model_size.predicted_han().values()) == used
    assert sum(model_size.predicted_idle("han").values()) == stored - used


@pytest.mark.parametrize("family", ["han", "ma"])
def test_what_a_release_stores_is_what_works_and_what_idles(family):
    archive, _ = open_golden(GOLDEN, f"{family}.npz")
    stored = names_and_shapes(archive)
    working = model_size.released_shapes("han")
    idle: dict[str, int] = {}
    for name, shape in stored.items():
        if name in working:
            assert tuple(shape) == working[name]
        else:
            part = name.partition(".")[0]
            idle[part] = idle.get(part, 0) + math.prod(shape)
    assert set(working) <= set(stored)
    assert idle == model_size.predicted_idle(family)


def test_mgn_stores_what_it_uses():
    archive, _ = open_golden(GOLDEN, "mgn.npz")
    shapes = {name: tuple(shape) for name, shape in names_and_shapes(archive).items()}
    assert model_size.released_shapes("mgn") == shapes
    assert model_size.predicted_idle("mgn") == {}


def test_an_unknown_family_is_refused():
    with pytest.raises(AvvpError, match="family is 'ave'; it must be one of han, ma, mgn"):
        model_size.predicted_idle("ave")


def test_operations_of_a_linear_layer_and_of_attention():
    # Classifying 2 videos of 10 seconds in 2 modalities, three times: 512 products, 512 sums each.
    counted = model_size.operations(build("han"), videos=2)
    assert counted["pooling"] == 3 * 2 * (2 * 10 * 2) * 512 * 25
    block = build("mgn", depths=(1, 1, 1))
    counted = model_size.operations(block, videos=1)
    sequence, width = 10 + 25, 128
    linear = 2 * sequence * width * (3 * width + width + 8 * width)
    products = 2 * 2 * sequence * sequence * width
    assert counted["audio_encoder"] == linear + products
    assert model_size.operations(block, videos=2)["audio_encoder"] == 2 * counted["audio_encoder"]


@pytest.mark.parametrize(("depths", "width"), [((3, 3, 6), 128), ((1, 2, 4), 64)])
@pytest.mark.parametrize("videos", [1, 3])
def test_mgn_computes_as_much_as_predicted(depths, width, videos):
    counted = model_size.operations(build("mgn", depths=depths, width=width), videos=videos)
    assert model_size.predicted_operations_mgn(depths, width, videos=videos) == counted


@pytest.mark.parametrize("width", [512, 64])
def test_han_computes_as_much_as_predicted(width):
    counted = model_size.operations(build("han", width=width), videos=2)
    assert model_size.predicted_operations_han(width, videos=2) == counted


def test_frames_cost_seven_more_projections_a_second():
    pooled = model_size.operations(build("han"), videos=1)["front_end"]
    with_frames = pooled + model_size.operations_of_frames(512, videos=1)
    other = 2 * 10 * 512 * (128 + 512 + 1024)
    assert with_frames == other + 2 * 80 * 2048 * 512


@pytest.mark.parametrize(("size", "shown"), [(2**20, 1), (2**20 + 1, 2)])
def test_sizes_are_rounded_up(size, shown):
    assert model_size.rounded_up(size, 2**20) == shown


def test_saving_adds_to_the_numbers():
    assert model_size.saved_bytes({"a": (1000,)}) > 4000
    assert torch.zeros(1).element_size() == model_size.BYTES
