"""The group ``avvp data``, from the command line to the file and what is printed."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from avvp.cli import main
from avvp.data.store import describe, read_split
from avvp.data.store_writer import write_videos
from avvp.errors import AvvpError
from avvp.experiments import PROFILES, open_source
from tests.made_up_videos import make_videos
from tests.small_llp import AUDIO, TEST, TRAIN, VAL, video_ids, write_annotations, write_features


@pytest.fixture
def llp(tmp_path):
    annotations = write_annotations(tmp_path / "annotations")
    return annotations, write_features(tmp_path / "features", video_ids())


def run(*words: object) -> int:
    return main(["data", *map(str, words)])


def test_import_and_info(llp, tmp_path, capsys):
    out = tmp_path / "llp.h5"
    assert run("import", "--annotations", llp[0], "--features", llp[1], "--out", out) == 0
    said = capsys.readouterr().out
    assert "train 3, val 2, test 3 videos" in said and "mark no second" not in said
    assert run("info", out) == 0
    said = capsys.readouterr().out
    assert describe(out).fingerprint[:16] in said
    assert "every video is as it was written" in said and "unrecognised audio file" in said
    speech = next(line for line in said.splitlines() if line.startswith("Speech"))
    assert speech.split()[:4] == ["Speech", "2", "1", "1"]
    assert len(said.splitlines()) <= 30 and max(map(len, said.splitlines())) <= 100 + len(str(out))


def test_import_refuses_in_one_sentence_and_names_every_file(llp, tmp_path, capsys):
    for row, folder in ((TRAIN[0], "vggish"), (TEST[0], "res152"), (VAL[0], "r2plus1d_18")):
        np.save(llp[1] / folder / f"{row[:11]}.npy", np.zeros(3, np.float32))
    out = tmp_path / "llp.h5"
    words = ("import", "--annotations", llp[0], "--features", llp[1], "--out", out)
    assert run(*words) == 2
    said = capsys.readouterr()
    refusals = [line for line in said.err.splitlines() if line.startswith("avvp: ")]
    assert len(refusals) == 1 and "3 feature files of 3 videos" in refusals[0]
    assert [line.split()[0] for line in said.out.splitlines()] == [
        "vggish/train000000.npy",
        "r2plus1d_18/val00000000.npy",
        "res152/test0000000.npy",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations", "features"]
    assert run(*words, "--allow-missing") == 0
    said = capsys.readouterr().out
    assert "3 videos were left out" in said and "vggish/train000000.npy has shape (3,)" in said
    run("info", out)
    assert "left out     3 videos, such as test0000000_0_10" in capsys.readouterr().out


def test_import_says_which_annotations_mark_nothing(llp, tmp_path, capsys):
    rows = [
        "test0000000_0_10\t9\t7\tDog",
        "elsewhere00_0_10\t3\t3\tDog",  # twice odd, and one row
        "test0000001_0_10\t0\t0\tDog",
    ]
    write_annotations(llp[0], audio=[*AUDIO, *rows])
    words = ("--annotations", llp[0], "--features", llp[1], "--out", tmp_path / "llp.h5")
    assert run("import", *words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "rows of the annotations that mark no second: 3, the first being AVVP_eval_audio.csv, row "
        f"{len(AUDIO) + 2}, test0000000_0_10: Dog, 9 to 7 s (reversed row)"
    )


def test_info_refuses_a_damaged_file(llp, tmp_path, capsys):
    (tmp_path / "a.h5").write_bytes(b"no data")
    assert run("info", tmp_path / "a.h5") == 2
    assert "a.h5 is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "provenance",
    [
        {"source": "mine", "annotations": "my own labels", "left_out": ["a"]},
        {"annotations": {}, "settings": {}, "left_out": "one", "simulator": None},
    ],
)
def test_info_of_a_file_with_a_provenance_of_its_own(provenance, tmp_path, capsys):
    write_videos(tmp_path / "a.h5", {"test": make_videos(2, seed=1)}, provenance)
    assert run("info", tmp_path / "a.h5") == 0
    assert "every video is as it was written" in capsys.readouterr().out


def test_info_without_reading_every_video(llp, tmp_path, capsys):
    out = tmp_path / "llp.h5"
    run("import", "--annotations", llp[0], "--features", llp[1], "--out", out)
    assert run("info", "--no-check", out) == 0
    assert "videos not read" in capsys.readouterr().out


def test_simulate(tmp_path, capsys):
    for name, seed in (("a.h5", 3), ("b.h5", 3), ("c.h5", 4)):
        assert run("simulate", "--profile", "smoke", "--seed", seed, "--out", tmp_path / name) == 0
    told = {name: describe(tmp_path / name) for name in ("a.h5", "b.h5", "c.h5")}
    assert told["a.h5"].fingerprint == told["b.h5"].fingerprint != told["c.h5"].fingerprint
    assert told["a.h5"].provenance["source"] == "simulated"
    assert told["a.h5"].provenance["settings"]["seed"] == 3
    assert {k: v.videos for k, v in told["a.h5"].splits.items()} == {
        "train": 64,
        "val": 32,
        "test": 32,
    }
    capsys.readouterr()
    run("info", tmp_path / "a.h5")
    assert "data seed 3, labels sampled" in capsys.readouterr().out


def test_simulate_features_on_annotated_labels(llp, tmp_path):
    out = tmp_path / "a.h5"
    assert run("simulate", "--profile", "smoke", "--labels", llp[0], "--out", out) == 0
    assert read_split(out, "test").ids == tuple(row.split("\t")[0] for row in TEST)
    provenance = describe(out).provenance
    assert provenance["settings"]["labels"] == "LLP" and str(tmp_path) not in str(provenance)
    assert "AVVP_test_pd.csv" in provenance["annotations"]["sha256"]


def test_simulate_refuses_a_profile_it_does_not_know(tmp_path, capsys):
    assert run("simulate", "--profile", "huge", "--out", tmp_path / "a.h5") == 2
    assert "'huge'; choose one of smoke" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_name_that_nothing_could_be_trained_on_is_refused(llp, tmp_path, capsys):
    sources = ("--annotations", llp[0], "--features", llp[1])
    for command in (("simulate", "--profile", "smoke"), ("import", *sources)):
        assert run(*command, "--out", tmp_path / "out" / "llp") == 2
        told = capsys.readouterr().err
        assert "llp is no name of a data file; it must end in .h5 or .hdf5." in told
        assert not (tmp_path / "out").exists()
    with pytest.raises(AvvpError, match="sime is no name of a data file"):
        open_source("sime", PROFILES["smoke"])


def test_download(shared, tmp_path, capsys):
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(shared / "llp"), **options)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert run("download", "--out", tmp_path, "--annotations", url) == 0
        assert "corrected version" in capsys.readouterr().out
        assert run("download", "--out", tmp_path, "--annotations", url, "--features", url) == 2
        assert "SHA256SUMS can't be fetched (status 404)" in capsys.readouterr().err
    finally:
        server.shutdown()
        server.server_close()
