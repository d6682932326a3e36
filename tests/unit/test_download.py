"""Downloads from a server on this machine that cuts connections, lies, or can't continue a file."""

import hashlib
import io
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from avvp.data import read_annotations
from avvp.data.download import download_annotations, download_features, fetch
from avvp.data.features import import_features
from avvp.errors import AvvpError
from tests.small_llp import FEATURES, video_ids, write_annotations, write_features

PIECE = 1 << 16
CONTENT = np.random.default_rng(0).bytes(1_000_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves ``files``; ``cuts`` are numbers of bytes after which it hangs up, one a request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: list[int | None] = []
        self.ranges = True
        self.failing = 0  # requests to answer with a status of failure
        self.status = 503
        self.length: str | None = None  # to announce; None: the right one
        self.requests: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.requests.append((self.path, wanted))
                if server.failing:
                    server.failing -= 1
                    self.send_error(server.status)
                    return
                if self.path not in server.files:
                    self.send_error(404)
                    return
                body = server.files[self.path]
                size, start = len(body), 0
                if wanted and server.ranges:
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                    if start >= size:
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{size}")
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", server.length or str(size - start))
                self.end_headers()
                cut = server.cuts.pop(0) if server.cuts else None
                self.wfile.write(body[start:] if cut is None else body[start : start + cut])
                self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    server.files["/data.bin"] = CONTENT
    yield server
    server.close()


def get(server: Server, path: Path, *, sha256: str = SUM, name: str = "data.bin", **options):
    fetch(f"{server.url}/{name}", path, sha256=sha256, progress=False, pause=0.001, **options)


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_file_arrives_once(server, tmp_path):
    path = tmp_path / "new" / "data.bin"
    get(server, path)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["new/data.bin"]
    get(server, path)
    assert len(server.requests) == 1  # what is there already is not fetched again


def test_a_connection_cut_in_the_middle_is_continued(server, tmp_path):
    server.cuts = [4 * PIECE + 7, 5 * PIECE, 0, None]
    get(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    spans = [span for _, span in server.requests]
    assert spans == [None] + [f"bytes={n * PIECE}-" for n in (4, 9, 9)]


def test_giving_up_keeps_what_came_and_the_next_call_goes_on(server, tmp_path):
    server.cuts = [6 * PIECE, 0, 0, 0]
    with pytest.raises(AvvpError, match="after 393216 bytes the connection failed 3 times"):
        get(server, tmp_path / "data.bin", attempts=3)
    assert names(tmp_path) == ["data.bin.part"]
    get(server, tmp_path / "data.bin")
    assert server.requests[-1][1] == "bytes=393216-"
    assert (tmp_path / "data.bin").read_bytes() == CONTENT and names(tmp_path) == ["data.bin"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges = False
    server.cuts = [10 * PIECE, None]
    get(server, tmp_path / "data.bin")
    assert [span for _, span in server.requests] == [None, f"bytes={10 * PIECE}-"]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges = False
    server.cuts = [700_000] * 50
    with pytest.raises(AvvpError, match="connection failed 4 times"):
        get(server, tmp_path / "data.bin", attempts=4)
    assert len(server.requests) == 5


def test_a_server_without_ranges_that_cuts_here_and_there_is_given_up(server, tmp_path):
    server.ranges = False
    server.cuts = [700_000, 500_000] * 50
    with pytest.raises(AvvpError, match=r"failed 4 times .* or from the start where the server"):
        get(server, tmp_path / "data.bin", attempts=4)
    assert len(server.requests) == 5


@pytest.mark.parametrize("there", [b"", CONTENT[:10]])
def test_a_server_that_finds_nothing_follows_whatever_is_asked(server, tmp_path, there):
    if there:
        (tmp_path / "data.bin.part").write_bytes(there)
    server.failing, server.status = 50, 416
    with pytest.raises(AvvpError, match="status 416"):
        get(server, tmp_path / "data.bin")
    assert len(server.requests) == 1 + bool(there) and not names(tmp_path)


def test_a_length_that_is_no_number(server, tmp_path):
    server.length = "many"
    get(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    get(server, tmp_path / "data.bin")
    assert names(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("stale", [b"x" * 10, b"x" * 1_000_000, b"x" * 2_000_000])
def test_a_part_of_an_older_version_is_replaced(server, tmp_path, stale):
    (tmp_path / "data.bin.part").write_bytes(stale)
    get(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_the_first_digits_of_a_checksum(server, tmp_path):
    get(server, tmp_path / "data.bin", sha256=SUM[:8])
    get(server, tmp_path / "data.bin", sha256=SUM[:8])
    assert (tmp_path / "data.bin").read_bytes() == CONTENT and len(server.requests) == 1
    with pytest.raises(AvvpError, match="expected 00000000"):
        get(server, tmp_path / "other.bin", sha256="0" * 8)


def test_wrong_checksum(server, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"yesterday's")
    with pytest.raises(AvvpError, match=f"{SUM[:12]}..., expected {'0' * 12}"):
        get(server, tmp_path / "data.bin", sha256="0" * 64)
    assert names(tmp_path) == ["data.bin"]
    assert (tmp_path / "data.bin").read_bytes() == b"yesterday's"


def test_a_server_that_is_busy_for_a_while(server, tmp_path):
    server.failing = 2
    get(server, tmp_path / "data.bin")
    assert len(server.requests) == 3


def test_missing_on_the_server(server, tmp_path):
    with pytest.raises(AvvpError, match="status 404"):
        get(server, tmp_path / "other.bin", name="other.bin")
    assert not names(tmp_path) and len(server.requests) == 1


def test_no_server(server, tmp_path):
    server.close()
    with pytest.raises(AvvpError, match=r"failed 2 times \(ConnectionRefusedError") as caught:
        get(server, tmp_path / "data.bin", attempts=2)
    assert "\n" not in str(caught.value) and not names(tmp_path)


@pytest.mark.parametrize("url", ["data.bin", "ftp://somewhere/data.bin", "http://"])
def test_an_address_that_is_none(tmp_path, url):
    with pytest.raises(AvvpError, match="no address of the web"):
        fetch(url, tmp_path / "data.bin", sha256=SUM, progress=False)
    assert not names(tmp_path)


def test_full_disk(server, tmp_path):
    """The system refuses files of more than 500 kB, as a full disk would: nothing is left."""
    code = (
        "import resource, sys\n"
        "from avvp.data.download import fetch\n"
        "from avvp.errors import AvvpError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    fetch(sys.argv[1], sys.argv[2], sha256=sys.argv[3], progress=False)\n"
        "except AvvpError as error:\n"
        "    print(error)"
    )
    command = [sys.executable, "-c", code, f"{server.url}/data.bin", str(tmp_path / "data.bin")]
    said = subprocess.check_output([*command, SUM], text=True)
    assert "data.bin can't be written" in said and "free some space" in said
    assert not names(tmp_path)


def test_a_folder_that_can_not_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AvvpError, match="can't be written"):
        get(server, tmp_path / "file" / "data.bin")


def test_annotations_come_from_a_mirror(server, tmp_path, shared):
    for path in (shared / "llp").glob("*.csv"):
        server.files[f"/llp/{path.name}"] = path.read_bytes()
    paths = download_annotations(tmp_path, url=f"{server.url}/llp/", progress=False)
    assert len(paths) == 6
    assert read_annotations(tmp_path).audio_version == "corrected"


def test_annotations_of_another_version_are_refused(server, tmp_path):
    server.files["/AVVP_train.csv"] = b"filename\tevent_labels\n"
    with pytest.raises(AvvpError, match=r"AVVP_train\.csv has the SHA-256"):
        download_annotations(tmp_path, url=server.url, progress=False)
    assert not names(tmp_path)


def serve_features(server: Server, files: dict[str, bytes]) -> None:
    sums = "".join(f"{hashlib.sha256(b).hexdigest()}  {n}\n" for n, b in files.items())
    server.files |= {f"/{name}": body for name, body in files.items()}
    server.files["/SHA256SUMS"] = sums.encode()


def test_features_come_file_by_file_and_import(server, tmp_path):
    source = write_features(tmp_path / "source", video_ids())
    serve_features(server, {name: (source / name).read_bytes() for name in names(source)})
    server.cuts = [None, 1000]
    download_features(tmp_path / "features", url=server.url, progress=False)
    assert names(tmp_path / "features") == names(source)
    annotations = write_annotations(tmp_path / "annotations")
    report = import_features(annotations, tmp_path / "features", tmp_path / "a.h5", progress=False)
    assert not report.problems


def test_features_come_in_archives(server, tmp_path):
    source = write_features(tmp_path / "source", video_ids())
    files = {}
    for folder in FEATURES:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"feats/{folder}/readme.txt", "not a feature array")
            archive.writestr(f"../../elsewhere/{folder}x/evil.npy", "leads out")
            for path in (source / folder).iterdir():
                archive.write(path, f"feats/{folder}/{path.name}")
        files[f"{folder}.zip"] = packed.getvalue()
    serve_features(server, files)
    for _ in range(2):  # the second time everything is there
        download_features(tmp_path / "features", url=server.url, progress=False)
    assert names(tmp_path / "features") == sorted([*names(source), *files])
    assert len(server.requests) == 2 + 3
    for name in names(source):
        assert (tmp_path / "features" / name).read_bytes() == (source / name).read_bytes()


def test_an_archive_that_was_corrected_is_unpacked_again(server, tmp_path):
    arrays = [np.full((10, 128), value, np.float32) for value in (1, 2)]
    for array in arrays:
        packed, content = io.BytesIO(), io.BytesIO()
        np.save(content, array)
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("vggish/a.npy", content.getvalue())
        serve_features(server, {"vggish.zip": packed.getvalue()})
        download_features(tmp_path, url=server.url, progress=False)
        assert np.array_equal(np.load(tmp_path / "vggish" / "a.npy"), array)
    (tmp_path / "vggish" / "a.npy").write_bytes(content.getvalue()[:-4] + b"\xff" * 4)
    download_features(tmp_path, url=server.url, progress=False)
    assert np.array_equal(np.load(tmp_path / "vggish" / "a.npy"), arrays[1])


@pytest.mark.parametrize(
    ("offset", "value", "told"),
    [
        (10, b"\x09\x00", "compression method is not supported"),  # Deflate64
        (8, b"\x01\x00", "encrypted"),
    ],
)
def test_an_archive_that_python_can_not_unpack(server, tmp_path, offset, value, told):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vggish/a.npy", b"numbers" * 99)
    content = bytearray(packed.getvalue())
    directory = content.index(b"PK\x01\x02")  # its fields come two bytes later than in the header
    assert len(value) == 2
    content[directory + offset : directory + offset + 2] = value
    content[offset - 2 : offset] = value
    serve_features(server, {"vggish.zip": bytes(content)})
    with pytest.raises(AvvpError, match=rf"vggish.zip is no zip archive .*{told}.*; pack it anew"):
        download_features(tmp_path, url=server.url, progress=False)
    assert names(tmp_path) == ["vggish.zip"]


def test_an_archive_without_arrays(server, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    serve_features(server, {"vggish.zip": packed.getvalue(), "b.zip": b"no archive"})
    with pytest.raises(AvvpError, match="holds no feature array"):
        download_features(tmp_path, url=server.url, progress=False)
    serve_features(server, {"b.zip": b"no archive"})
    with pytest.raises(AvvpError, match="no zip archive"):
        download_features(tmp_path, url=server.url, progress=False)


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        (None, "status 404"),
        (b"", "lists no file"),
        (b"<html>hello</html>\n", "line 1"),
        (b"0" * 64 + b"  ../evil.npy\n", "line 1"),
        (b"0" * 64 + b"  /etc/evil.npy\n", "line 1"),
        (b"0" * 63 + b"  vggish/a.npy\n", "line 1"),
    ],
)
def test_a_mirror_with_a_strange_list(server, tmp_path, sums, expected):
    if sums is not None:
        server.files["/SHA256SUMS"] = sums
    with pytest.raises(AvvpError, match=expected):
        download_features(tmp_path, url=server.url, progress=False)
    assert not names(tmp_path)
