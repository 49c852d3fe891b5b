"""The blob store on S3: the same promises, through the real client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from records.blobs import BlobStore
from records.errors import RecordsError
from tests.records.small_s3 import SmallS3, small_s3

DATA = b"content" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
PLACE = f"/bucket/prefix/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallS3]:
    with small_s3() as server:
        settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield server


def test_a_blob_goes_and_comes_back(s3: SmallS3) -> None:
    store = BlobStore("s3://bucket/prefix")
    assert store.put(DATA) == DIGEST
    assert list(s3.objects) == [PLACE]
    assert store.get(DIGEST) == b"".join(store.stream(DIGEST)) == DATA
    assert store.exists(DIGEST)
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert not store.exists(DIGEST)
    with pytest.raises(RecordsError) as caught:
        store.get(DIGEST)
    assert caught.value.code == "blob-missing"


def test_a_blob_is_written_once(s3: SmallS3) -> None:
    """S3 conditional writes: If-None-Match: * lets the first one win."""
    s3.objects[PLACE] = b"already here"
    store = BlobStore("s3://bucket/prefix")
    assert store.put(DATA) == DIGEST
    assert s3.objects[PLACE] == b"already here"
    with pytest.raises(RecordsError) as caught:
        store.get(DIGEST)
    assert caught.value.code == "blob-damaged"


@pytest.mark.parametrize("size", [7_000, 14_000_000])
def test_a_file_of_any_size_is_streamed(s3: SmallS3, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"content" * (size // 7))
    store = BlobStore("s3://bucket/prefix")
    digest = store.put_file(tmp_path / "file")
    assert store.put_file(tmp_path / "file") == digest
    assert len(store.get(digest)) == size
    assert len(s3.objects) == 1


def test_a_store_out_of_reach_is_said(s3: SmallS3) -> None:
    s3.refuses = True
    with pytest.raises(RecordsError) as caught:
        BlobStore("s3://bucket/prefix").put(DATA)
    assert caught.value.code == "blob-store-unreachable"
    assert s3.objects == {}
