"""Files by their SHA-256: written once, never changed, checked each time they are read.

    blobs = BlobStore("var/blobs")              # or s3://bucket/prefix
    digest = blobs.put(b"...")                  # on disk, fsynced, before it returns
    blobs.get(digest)

A blob lies at `ab/cd/abcd…`. Writing the same content twice is one blob. A local write goes
to a temporary file, is fsynced, and only then linked under its name, so a name never shows
half a file, and the directory is fsynced so that the name survives a power cut too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from records.errors import RecordsError

CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FULL = {errno.ENOSPC, errno.EDQUOT}


class BlobStore:
    """Content-addressed and write-once. Safe to share between threads and processes."""

    def __init__(self, location: str) -> None:
        """A directory (made for its owner only) or `s3://bucket/prefix`.

        Credentials for S3 come from the usual AWS variables of the process.
        """
        self._directory: Path | None = None
        self._store: LocalStore | S3Store
        if location.startswith("s3://"):
            with _reachable():
                self._store = S3Store.from_url(location)
            return
        self._directory = Path(location)
        try:
            _make_private(self._directory / "incoming")
        except OSError as error:
            raise _failure(error) from error
        self._store = LocalStore(self._directory)

    def put(self, data: bytes) -> str:
        """Store `data`; return its digest in hex. Raises `disk-full`, `blob-store-unreachable`."""
        digest = hashlib.sha256(data).hexdigest()
        if self._directory is not None:
            if not self.exists(digest):
                self._write(self._directory, [data])
            return digest
        with _reachable(), contextlib.suppress(AlreadyExistsError):
            obstore.put(self._store, _path(digest), data, mode="create")
        return digest

    def put_file(self, path: Path) -> str:
        """Store a file of any size with one chunk of it in memory; return its digest."""
        if self._directory is not None:
            with path.open("rb") as file:
                return self._write(self._directory, _chunks(file))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not self.exists(digest):
            with _reachable():
                obstore.put(self._store, _path(digest), path)
        return digest

    def put_chunks(self, chunks: Iterable[bytes]) -> str:
        """Store what comes piece by piece, one piece of it in memory; return its digest."""
        if self._directory is not None:
            return self._write(self._directory, chunks)
        with tempfile.NamedTemporaryFile(prefix="dauso-blob-") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            return self.put_file(Path(file.name))

    @contextlib.contextmanager
    def file(self, digest: str) -> Iterator[Path]:
        """The content as a file to be read, for as long as the block lasts; not checked.

        Raises `blob-missing`. Whoever reads it all compares the digest.
        """
        if self._directory is not None:
            path = self._directory / _path(digest)
            if not path.exists():
                raise RecordsError("blob-missing", digest=digest)
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix="dauso-blob-") as file:
            for chunk in self.stream(digest):
                file.write(chunk)
            file.flush()
            yield Path(file.name)

    def get(self, digest: str) -> bytes:
        """The content, checked. Raises `blob-missing`, `blob-damaged`."""
        with _reachable(digest):
            data = bytes(obstore.get(self._store, _path(digest)).bytes())
        if hashlib.sha256(data).hexdigest() != digest:
            raise RecordsError("blob-damaged", digest=digest)
        return data

    def stream(self, digest: str) -> Iterator[bytes]:
        """The content in chunks. Damage shows at the end, as `blob-damaged`."""
        found = hashlib.sha256()
        with _reachable(digest):
            for chunk in obstore.get(self._store, _path(digest)).stream(min_chunk_size=CHUNK):
                part = bytes(chunk)
                found.update(part)
                yield part
        if found.hexdigest() != digest:
            raise RecordsError("blob-damaged", digest=digest)

    def exists(self, digest: str) -> bool:
        """Whether the blob is there; says nothing about its content."""
        try:
            with _reachable(digest):
                obstore.head(self._store, _path(digest))
        except RecordsError as error:
            if error.code == "blob-missing":
                return False
            raise
        return True

    def delete(self, digest: str) -> None:
        """Remove a blob, where the law or its owner asks for it. Absent already is fine."""
        with _reachable(digest), contextlib.suppress(NotFoundError, FileNotFoundError):
            obstore.delete(self._store, _path(digest))

    def _write(self, directory: Path, chunks: Iterable[bytes]) -> str:
        """Temporary file, fsync, link under its digest, fsync the directories."""
        temporary = directory / "incoming" / secrets.token_hex(16)
        try:
            found = hashlib.sha256()
            with open(temporary, "xb", opener=_owner_only) as file:
                for chunk in chunks:
                    found.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            final = directory / _path(found.hexdigest())
            _make_directories(final.parent)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, final)
            _sync_directory(final.parent)
        except OSError as error:
            raise _failure(error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return found.hexdigest()


def _path(digest: str) -> str:
    if not _DIGEST.match(digest):
        raise RecordsError("blob-digest-invalid")
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make_directories(leaf: Path) -> None:
    """Make `…/ab/cd` and fsync what now names a new directory."""
    for part in (leaf.parent, leaf):
        try:
            part.mkdir(mode=0o700)
        except FileExistsError:
            continue
        _sync_directory(part.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reachable(digest: str = "") -> Iterator[None]:
    """Failures of the store as `RecordsError`; expected ones pass to who expects them."""
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise RecordsError("blob-missing", digest=digest) from None
    except AlreadyExistsError:
        raise
    except BaseError as error:
        raise RecordsError("blob-store-unreachable", reason=str(error).splitlines()[0]) from error
    except OSError as error:
        raise _failure(error) from error


def _make_private(path: Path) -> None:
    """`path` and its missing parents, the owner's alone (`parents=True` asks the umask)."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def _failure(error: OSError) -> RecordsError:
    if error.errno in _FULL:
        return RecordsError("disk-full", place="blobs")
    return RecordsError("blob-store-unreachable", reason=error.strerror or str(error))
