"""A stand-in on disk gives back what the simulator drew, through the import that LLP takes."""

import torch

from avvp.data import load, read_annotations
from avvp.data.features import import_features
from avvp.data.simulate import SPLITS, SimulatorConfig, simulate
from avvp.data.stand_in import write_stand_in
from tests.small_llp import write_annotations


def test_the_import_of_a_stand_in_is_what_was_drawn(tmp_path):
    config = SimulatorConfig(train=6, val=3, test=3)
    annotations, features = write_stand_in(tmp_path, config)
    import_features(annotations, features, tmp_path / "llp.h5", progress=False)
    for split in SPLITS:
        drawn, read = simulate(config, split), load(tmp_path / "llp.h5", split)
        for stream in ("audio", "visual_2d", "visual_3d"):
            torch.testing.assert_close(getattr(read, stream), getattr(drawn, stream))
        assert torch.equal(read.weak, drawn.weak)
        if split == "train":
            assert read.true_audio is None
        else:
            assert torch.equal(read.true_audio, drawn.true_audio)
            assert torch.equal(read.true_visual, drawn.true_visual)


def test_with_real_labels_only_the_features_are_made_up(tmp_path):
    labels = write_annotations(tmp_path / "tables")
    config = SimulatorConfig(labels=str(labels))
    annotations, features = write_stand_in(tmp_path / "stand-in", config)
    assert annotations == labels
    assert not (tmp_path / "stand-in" / "annotations").exists()
    report = import_features(annotations, features, tmp_path / "llp.h5", progress=False)
    real = read_annotations(labels)
    assert report.videos == {split: len(real[split]) for split in SPLITS}
    assert load(tmp_path / "llp.h5", "test").ids == real["test"].ids
