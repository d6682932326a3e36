"""Fetch annotations, and features from a mirror that the user names; resumable and checked.

The released features have no stable address, so whoever keeps a copy serves it as a mirror: a URL
under which lies ``SHA256SUMS`` (the output of ``sha256sum``), which lists files such as
``vggish/BjCEufrlXm4.npy`` or archives such as ``vggish.zip``. Archives are unpacked.

A file that was cut off waits as ``NAME.part`` and is continued with an HTTP range request; one
whose checksum is wrong, or that the disk can't hold, is removed.
"""

import hashlib
import json
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import requests
from tqdm.auto import tqdm
from urllib3.exceptions import LocationParseError

from avvp.atomic import atomic_path
from avvp.data.features import FOLDERS
from avvp.errors import AvvpError

SUMS = "SHA256SUMS"
_PIECE = 1 << 16  # what comes after the last whole piece is fetched again
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_NO_ADDRESS = (
    LocationParseError,  # requests lets it through
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
_NO_ARCHIVE = (
    EOFError,
    NotImplementedError,  # a method of compression that Python does not know
    RuntimeError,  # encrypted
    zipfile.BadZipFile,
    zlib.error,
)
_SUMS_LINE = re.compile(r"([0-9a-f]{64})[ ][ *](.+)")


def download_annotations(
    folder: str | Path, *, url: str | None = None, progress: bool = True
) -> list[Path]:
    """Fetch the CSV files of LLP as HAN released them; those that are there already stay.

    Args:
        folder: where to put them.
        url: of the folder they lie in; None takes the HAN repository.
        progress: show a bar.

    Raises:
        AvvpError: the server can't be reached, a checksum differs, or the disk is full.
    """
    table = resources.files("avvp") / "package_data" / "downloads.json"
    known = json.loads(table.read_text(encoding="utf-8"))["annotations"]
    return _fetch_all(url or known["url"], known["sha256"], Path(folder), progress)


def download_features(folder: str | Path, *, url: str, progress: bool = True) -> list[Path]:
    """Fetch everything that a mirror lists in ``SHA256SUMS``, and unpack its archives.

    Raises:
        AvvpError: as in :func:`download_annotations`; or the mirror has no list, or a strange one.
    """
    paths = _fetch_all(url, _listed(url), Path(folder), progress)
    for path in paths:
        if path.suffix == ".zip":
            _unpack(path, Path(folder), progress)
    return paths


def _listed(url: str) -> dict[str, str]:
    """File name -> SHA-256, as the mirror lists them."""
    address = _join(url, SUMS)
    try:
        with _session() as session:
            answer = session.get(address, timeout=_TIMEOUT)
    except (requests.RequestException, LocationParseError) as error:
        raise AvvpError(f"{address} can't be fetched ({_reason(error)}).") from error
    if not answer.ok:
        raise AvvpError(
            f"{address} can't be fetched (status {answer.status_code}); a mirror lists its files "
            f"there, as 'sha256sum */* > {SUMS}' writes them."
        )
    sums = {}
    for number, line in enumerate(answer.text.splitlines(), start=1):
        match = _SUMS_LINE.fullmatch(line)
        path = PurePosixPath(match[2]) if match else None
        if path is None or path.is_absolute() or ".." in path.parts or "\\" in str(path):
            raise AvvpError(
                f"{address}, line {number}: expected a SHA-256 and a file inside the mirror, as "
                "sha256sum prints them; ask whoever keeps it."
            )
        sums[str(path)] = match[1]
    if not sums:
        raise AvvpError(f"{address} lists no file; ask whoever keeps the mirror.")
    return sums


def _fetch_all(url: str, sums: Mapping[str, str], folder: Path, progress: bool) -> list[Path]:
    bar = tqdm(sums.items(), desc="download", unit="file", disable=not progress)
    with _session() as session:
        for name, sha256 in bar:
            fetch(
                _join(url, name), folder / name, sha256=sha256, session=session, progress=progress
            )
    return [folder / name for name in sums]


def fetch(
    url: str,
    path: str | Path,
    *,
    sha256: str,
    session: requests.Session | None = None,
    attempts: int = 5,
    pause: float = 1.0,
    progress: bool = True,
) -> None:
    """Fetch one file, going on with ``PATH.part`` where an earlier attempt left one.

    Args:
        url: what to fetch.
        path: where to put it; a file there that has the checksum already is left alone.
        sha256: the checksum it must have, in hexadecimal digits, or the first of them where no
            more is published.
        session: to keep a connection open for several files.
        attempts: connections in a row that bring nothing new before giving up.
        pause: seconds after the first of them; it doubles from one to the next.
        progress: show a bar.

    Raises:
        AvvpError: the server can't be reached or breaks off again and again (``PATH.part`` stays),
            the checksum differs, or the file can't be written (nothing is left).
    """
    path = Path(path)
    if path.is_file() and _sha256(path).startswith(sha256):
        return
    part = path.with_name(f"{path.name}.part")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    session = session or _session()
    continued = part.stat().st_size > 0
    _fetch_part(session, url, part, attempts, pause, progress)
    if continued and not _sha256(part).startswith(sha256):
        # What was there may have been of an older version: once more, from the start.
        part.write_bytes(b"")
        _fetch_part(session, url, part, attempts, pause, progress)
    found = _sha256(part)
    if not found.startswith(sha256):
        part.unlink()
        raise AvvpError(
            f"{url} has the SHA-256 {found[:12]}..., expected {sha256[:12]}...: it is another "
            "version or was damaged on the way; try again, or name another mirror."
        )
    part.replace(path)


def _fetch_part(
    session: requests.Session, url: str, part: Path, attempts: int, pause: float, progress: bool
) -> None:
    """Bring ``part`` to its end, over as many connections as it takes."""
    failures = 0
    longest = part.stat().st_size  # a server that can't continue starts again and again
    while True:
        try:
            _continue(session, url, part, progress)
            return
        except _NO_ADDRESS as error:
            part.unlink()
            raise AvvpError(f"{url} is no address of the web; it must start with https.") from error
        except requests.RequestException as error:
            size = part.stat().st_size
            failures = 0 if size > longest else failures + 1
            longest = max(longest, size)
            if failures >= attempts:
                if not size:
                    part.unlink()
                raise AvvpError(
                    f"{url} can't be fetched: after {size} bytes the connection failed "
                    f"{failures} times ({_reason(error)}); the same command goes on from there, or "
                    "from the start where the server can't."
                ) from error
            time.sleep(min(pause * 2 ** max(failures - 1, 0), 30))


def _continue(session: requests.Session, url: str, part: Path, progress: bool) -> None:
    """Append what follows the end of ``part``; start again where the server can't do that."""
    start = part.stat().st_size
    headers = {"Range": f"bytes={start}-"} if start else {}
    with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416 and start:  # nothing follows
            if answer.headers.get("Content-Range") != f"bytes */{start}":
                part.write_bytes(b"")
                _continue(session, url, part, progress)
            return
        if answer.status_code == 429 or answer.status_code >= 500:
            answer.raise_for_status()  # it may pass: counts as a failed connection
        if not answer.ok:
            if not start:
                part.unlink()
            raise AvvpError(
                f"{url} can't be fetched (status {answer.status_code}); check the address."
            )
        span = answer.headers.get("Content-Range", "")
        if answer.status_code != 206 or not span.startswith(f"bytes {start}-"):
            start = 0
        length = answer.headers.get("Content-Length", "")
        with (
            _writing(part.with_suffix(""), part),
            part.open("r+b") as file,
            tqdm(
                total=start + int(length) if length.isdecimal() else None,
                initial=start,
                desc=part.stem,
                unit="B",
                unit_scale=True,
                leave=False,
                disable=not progress,
            ) as bar,
        ):
            file.seek(start)
            file.truncate()
            for piece in answer.iter_content(_PIECE):
                file.write(piece)
                bar.update(len(piece))


@contextmanager
def _writing(path: Path, part: Path | None = None) -> Iterator[None]:
    """Remove ``part`` and say in one sentence that the disk does not take ``path``."""
    try:
        yield
    except requests.RequestException:  # an OSError too, by inheritance
        raise
    except OSError as error:
        if part is not None:
            with suppress(OSError):
                part.unlink()
        raise AvvpError(
            f"{path} can't be written ({error.strerror}); free some space or write elsewhere."
        ) from error


def _unpack(archive: Path, folder: Path, progress: bool) -> None:
    """Unpack the feature arrays of an archive into the folders that the importer looks in.

    Whatever path they have inside, only ``FOLDER/NAME.npy`` counts; other members stay packed.
    """
    names = {name for name, _ in FOLDERS.values()}
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [
                (member, folder.joinpath(*PurePosixPath(member.filename).parts[-2:]))
                for member in packed.infolist()
                if member.filename.endswith(".npy")
                and PurePosixPath(member.filename).parent.name in names
            ]
            if not members:
                raise AvvpError(
                    f"{archive} holds no feature array: expected members such as vggish/NAME.npy."
                )
            for member, path in tqdm(members, desc=archive.name, unit="file", disable=not progress):
                # Arrays of a stream are all of one size, so a size would say nothing.
                if path.is_file() and zlib.crc32(path.read_bytes()) == member.CRC:
                    continue
                with (
                    _writing(path),
                    atomic_path(path) as temporary,
                    packed.open(member) as source,
                    temporary.open("wb") as target,
                ):
                    shutil.copyfileobj(source, target)
    except _NO_ARCHIVE as error:
        raise AvvpError(
            f"{archive} is no zip archive that can be read ({error}); pack it anew, by "
            "'zip -r', without a password."
        ) from error


def _session() -> requests.Session:
    session = requests.Session()
    # Compressed on the way, a file has no byte positions to go on from.
    session.headers["Accept-Encoding"] = "identity"
    return session


def _join(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{quote(name)}"


def _reason(error: Exception) -> str:
    """The innermost cause that says something, on one line."""
    while error.__context__ is not None and not isinstance(error, AvvpError):
        error = error.__context__
    return " ".join(f"{type(error).__name__}: {error}".split())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
