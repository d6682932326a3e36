"""Feature files and folders that are not as released: named, and no file is left behind."""

import errno
import pickle

import numpy as np
import pytest

from avvp.data.features import FeatureProblems, import_features
from avvp.data.store_writer import StoreWriter
from avvp.errors import AvvpError
from tests.small_llp import TRAIN, VAL, video_ids, write_annotations, write_features

VIDEO = TRAIN[1].split("\t")[0]


class Tripwire:
    """Unpickling it is an error of the importer."""

    def __reduce__(self):
        return (pytest.fail, ("a downloaded file was unpickled",))


@pytest.fixture
def llp(tmp_path):
    annotations = write_annotations(tmp_path / "annotations")
    return annotations, write_features(tmp_path / "features", video_ids())


def refusal(tmp_path, annotations, features, **options) -> AvvpError:
    with pytest.raises(AvvpError) as caught:
        import_features(annotations, features, tmp_path / "llp.h5", progress=False, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    assert not list(tmp_path.glob("*llp.h5*"))
    return caught.value


def npy(array: np.ndarray, path, **options) -> bytes:
    np.save(path, array, **options)
    return path.read_bytes()


GOOD = np.ones((80, 2048), np.float32)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda p: npy(GOOD, p)[:-1], "is truncated"),
        (lambda p: npy(GOOD, p)[:128], "is truncated"),
        (lambda p: npy(GOOD, p)[:60], "header is damaged"),
        (lambda p: b"", "is no .npy file"),
        (lambda p: b"<html>404 Not Found</html>", "is no .npy file"),
        (lambda p: npy(GOOD, p) + b"\0", "goes on after the end"),
        (lambda p: npy(GOOD[:10], p), "has shape (10, 2048), expected (80, 2048)"),
        (lambda p: npy(GOOD.T, p), "has shape (2048, 80), expected (80, 2048)"),
        (lambda p: npy(GOOD[None], p), "has shape (1, 80, 2048)"),
        (lambda p: npy(GOOD.astype(np.float64), p), "is float64, expected float32"),
        (lambda p: npy(GOOD.astype(np.float16), p), "is float16, expected float32"),
        (lambda p: npy(GOOD.astype(">f4"), p), "is >f4, expected float32"),
        (lambda p: npy(np.where(GOOD > 0, np.nan, GOOD), p), "not finite"),
        (lambda p: npy(np.full_like(GOOD, np.inf), p), "not finite"),
        (lambda p: npy(np.array([Tripwire()]), p, allow_pickle=True), "pickled Python objects"),
        (lambda p: pickle.dumps(Tripwire()), "is no .npy file"),
        (lambda p: npy(GOOD, p).replace(b"(80, 2048)", b"(80, 2048("), "header is damaged"),
    ],
)
@pytest.mark.parametrize("allow_missing", [False, True])
def test_a_damaged_array(llp, tmp_path, damage, expected, allow_missing):
    annotations, features = llp
    path = features / "res152" / f"{VIDEO[:11]}.npy"
    path.write_bytes(damage(path))
    if allow_missing:
        report = import_features(*llp, tmp_path / "llp.h5", allow_missing=True, progress=False)
        assert report.videos["train"] == len(TRAIN) - 1
        problems = report.problems
    else:
        error = refusal(tmp_path, annotations, features)
        assert f"res152/{VIDEO[:11]}.npy" in str(error) and "--allow-missing" in str(error)
        problems = error.problems
    ((video, file, problem),) = problems
    assert (video, file) == (VIDEO, f"res152/{VIDEO[:11]}.npy") and expected in problem


def test_something_that_is_no_file(llp, tmp_path):
    path = llp[1] / "vggish" / f"{VIDEO[:11]}.npy"
    path.unlink()
    path.mkdir()
    assert "can't be read (Is a directory)" in refusal(tmp_path, *llp).problems[0].problem


def test_everything_is_in_one_report(llp, tmp_path):
    annotations, features = llp
    for n, (folder, video) in enumerate(
        [("vggish", video_ids()[0]), ("vggish", video_ids()[4]), ("res152", video_ids()[7])]
    ):
        path = features / folder / f"{video[:11]}.npy"
        path.unlink() if n else path.write_bytes(b"")
    error = refusal(tmp_path, annotations, features)
    assert len(error.problems) == 3 and "3 feature files of 3 videos" in str(error)


def test_missing_feature_folders_are_named(llp, tmp_path):
    sentence = str(refusal(tmp_path, llp[0], tmp_path / "nowhere"))
    assert "nowhere has no folder vggish and no folder res152 and no folder r2plus1d_18" in sentence


def test_missing_annotations(llp, tmp_path):
    assert "nowhere" in str(refusal(tmp_path, tmp_path / "nowhere", llp[1]))


def test_a_split_of_which_nothing_is_left(llp, tmp_path):
    for row in VAL:
        (llp[1] / "vggish" / f"{row[:11]}.npy").unlink()
    assert "no video is left in val" in str(refusal(tmp_path, *llp, allow_missing=True))
    assert isinstance(refusal(tmp_path, *llp), FeatureProblems)


def test_an_empty_folder_is_refused_with_every_name(tmp_path):
    annotations = write_annotations(tmp_path / "annotations")
    features = write_features(tmp_path / "features", [])
    error = refusal(tmp_path, annotations, features)
    assert len(error.problems) == 3 * len(video_ids())


def test_two_videos_of_one_name(tmp_path):
    rows = [*TRAIN, TRAIN[0].replace("_0_10", "_20_30")]
    annotations = write_annotations(tmp_path / "annotations", train=rows)
    features = write_features(tmp_path / "features", video_ids())
    assert "train000000_20_30 would share" in str(refusal(tmp_path, annotations, features))


def test_a_full_disk(llp, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 1000}))
    assert "free some space" in str(refusal(tmp_path, *llp))


def test_a_disk_that_fills_up_halfway(llp, tmp_path, monkeypatch):
    """Space was reserved, and yet a write fails: no file is left, and the system's word stands."""
    put, left = StoreWriter._put, iter(range(6))

    def full(self, *arguments):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(self, *arguments)

    monkeypatch.setattr(StoreWriter, "_put", full)
    with pytest.raises(OSError, match="No space left"):
        import_features(*llp, tmp_path / "llp.h5", progress=False)
    assert not list(tmp_path.glob("*llp.h5*"))
