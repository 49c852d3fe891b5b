"""The blob store: whole or not at all, the same or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from records import blobs as module
from records.blobs import BlobStore
from records.errors import RecordsError

DATA = "văn bản".encode() * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def test_what_is_put_is_got(blobs: BlobStore, tmp_path: Path) -> None:
    assert blobs.put(DATA) == DIGEST
    assert blobs.get(DIGEST) == DATA
    assert b"".join(blobs.stream(DIGEST)) == DATA
    assert blobs.exists(DIGEST)
    assert files(tmp_path) == [tmp_path / "blobs" / DIGEST[:2] / DIGEST[2:4] / DIGEST]


def test_an_empty_file_is_a_file(blobs: BlobStore) -> None:
    digest = blobs.put(b"")
    assert blobs.get(digest) == b""
    assert list(blobs.stream(digest)) == []


def test_the_same_content_twice_is_one_blob(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    before = blobs.put(DATA)
    changed = files(tmp_path)[0].stat().st_mtime_ns
    assert blobs.put(DATA) == blobs.put_file(tmp_path / "file") == before
    assert [file.stat().st_mtime_ns for file in files(tmp_path)] == [changed]


def test_a_file_is_streamed_in_chunks(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    (tmp_path / "file").write_bytes(DATA)
    assert blobs.put_file(tmp_path / "file") == DIGEST
    assert blobs.get(DIGEST) == DATA


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        BlobStore(str(tmp_path / "blobs")).put(DATA)
    finally:
        os.umask(old)
    every = [tmp_path / "blobs", *(tmp_path / "blobs").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in every} == {0}


def test_file_and_directories_are_synced_before_the_name_is_given(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync(2): syncing a file does not sync the directory that names it; that is separate."""
    order: list[str] = []
    sync, link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        order.append("dir" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def linked(source: Path, target: Path) -> None:
        order.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", linked)
    blobs.put(DATA)
    assert order == ["file", "dir", "dir", "link", "dir"]


@pytest.mark.parametrize("call", ["fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(RecordsError) as caught:
            blobs.put(DATA)
    assert caught.value.code == "disk-full"
    assert files(tmp_path) == []
    assert not blobs.exists(DIGEST)
    assert blobs.put(DATA) == DIGEST


def test_a_really_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """/dev/full answers ENOSPC to every write (full(4))."""
    store = BlobStore(str(tmp_path / "blobs"))
    incoming = tmp_path / "blobs" / "incoming"

    def opened(path: str, flags: int) -> int:
        assert Path(path).parent == incoming
        return os.open("/dev/full", os.O_WRONLY)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_owner_only", opened)
        with pytest.raises(RecordsError) as caught:
            store.put(DATA)
    assert caught.value.code == "disk-full"
    assert files(tmp_path) == []


def test_damage_is_found_when_read(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.put(DATA)
    files(tmp_path)[0].write_bytes(DATA[:-1] + b"?")
    for read in (blobs.get, lambda digest: list(blobs.stream(digest))):
        with pytest.raises(RecordsError) as caught:
            read(DIGEST)
        assert caught.value.code == "blob-damaged"


def test_what_is_not_there_is_said(blobs: BlobStore) -> None:
    for read in (blobs.get, lambda digest: list(blobs.stream(digest))):
        with pytest.raises(RecordsError) as caught:
            read(DIGEST)
        assert caught.value.code == "blob-missing"
    assert not blobs.exists(DIGEST)


def test_a_deleted_blob_is_gone_and_may_come_back(blobs: BlobStore) -> None:
    blobs.put(DATA)
    blobs.delete(DIGEST)
    blobs.delete(DIGEST)
    assert not blobs.exists(DIGEST)
    assert blobs.put(DATA) == DIGEST
    assert blobs.get(DIGEST) == DATA


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", DIGEST.upper(), DIGEST + "\n", "a/b"])
def test_only_a_digest_names_a_blob(blobs: BlobStore, digest: str) -> None:
    for act in (blobs.get, blobs.exists, blobs.delete):
        with pytest.raises(RecordsError) as caught:
            act(digest)
        assert caught.value.code == "blob-digest-invalid"


def test_many_writers_of_one_content(blobs: BlobStore, tmp_path: Path) -> None:
    threads = [threading.Thread(target=blobs.put, args=(DATA,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files(tmp_path)) == 1
    assert blobs.get(DIGEST) == DATA


def test_a_place_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError) as caught:
        BlobStore(str(tmp_path / "file" / "blobs"))
    assert caught.value.code == "blob-store-unreachable"
