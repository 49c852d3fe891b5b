"""A large PDF through the service: on disk as it comes, mapped, and out again piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pikepdf
from starlette.datastructures import UploadFile
from starlette.responses import StreamingResponse

from api.auth.clients import Client
from api.routes import documents, signatures
from api.transit import STREAMED
from signer.keys import activation
from signer.levels import Level
from signer.signature import SignatureRequest
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import PIN, TownHall
from tests.signer import paper
from tests.signer.software_desk import qpdf_check

pytestmark = ONLY_SQLITE
CLIENT = Client("procedure-system", "x", frozenset({"sign"}), None)


def large(path: Path, megabytes: int) -> str:
    """The decision with that much incompressible data in it; its digest."""
    with pikepdf.open(_written(path, paper.decision()), allow_overwriting_input=True) as pdf:
        noise = hashlib.shake_256(b"noise").digest(1 << 20)
        pdf.Root.TESTPadding = pikepdf.Array(
            [pdf.make_stream(noise + bytes([number])) for number in range(megabytes)]
        )
        pdf.save(path, compress_streams=False, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def peak_of(act: Callable[[], object]) -> int:
    """How much memory the process needed beyond what it had (Linux: VmHWM, set back before)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    act()
    return _memory("VmHWM") - before


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) << 10 for one in lines if one.startswith(f"{name}:"))


def test_memory_is_bounded(service: Service, hall: TownHall, tmp_path: Path) -> None:
    """ "Uploads stream; a 200 MB PDF signs in bounded memory." Here sixty; the
    routes are called as the server calls them, the upload lying in its file on disk."""
    wired, now = service.services, service.now
    path = tmp_path / "large.pdf"
    digest = large(path, 60)
    service.client(CLIENT.client_id, "sign")
    found: dict[str, str] = {}
    # Before: deriving a key from the PIN takes 64 MB by design (argon2id).
    given = activation.authorize(
        service.house.desk, credential_id=hall.person.id, pin=PIN,
        digests=[bytes.fromhex(digest)], client=CLIENT.by, now=now, by=CLIENT.by,
    )  # fmt: skip

    def all_of_it() -> None:
        with path.open("rb") as file:
            upload = UploadFile(file, filename="lớn.pdf")
            documents.upload(wired, now, CLIENT, upload)
        found["source"] = source = _newest(service)
        document = wired.transit.find(source, client_id=CLIENT.client_id, now=now)
        assert document.digest == digest
        made = signatures._sign(
            wired, document, SignatureRequest(level=Level.B_LTA), given, now=now, by=CLIENT.by
        )
        found["signed"] = made.id
        assert made.size > document.size > STREAMED
        asyncio.run(_drained(_fetch(service, made.id), tmp_path / "signed.pdf"))

    peak = peak_of(all_of_it)
    assert peak < 40 << 20, f"{peak >> 20} MB"
    signed = tmp_path / "signed.pdf"
    with signed.open("rb") as file:
        start = file.read(path.stat().st_size)
    assert hashlib.sha256(start).hexdigest() == digest
    assert qpdf_check(signed) == ""


def _newest(service: Service) -> str:
    from sqlalchemy import select

    from api.models import ApiDocument

    with service.house.database.reading() as session:
        return session.scalars(select(ApiDocument.id)).one()


def _fetch(service: Service, identifier: str) -> StreamingResponse:
    from starlette.requests import Request

    request = Request({"type": "http", "headers": []})
    answer = documents.fetch(identifier, request, service.services, service.now, CLIENT)
    assert isinstance(answer, StreamingResponse)
    assert answer.media_type == "application/pdf"
    return answer


async def _drained(answer: StreamingResponse, path: Path) -> None:
    with path.open("wb") as file:
        async for piece in answer.body_iterator:
            file.write(bytes(piece) if not isinstance(piece, str) else piece.encode())


def test_over_http_in_one_call(service: Service, hall: TownHall, tmp_path: Path) -> None:
    """The same from outside: what comes back is what was sent, and more; asked twice."""
    path = tmp_path / "large.pdf"
    large(path, 9)
    headers = service.bearer("sign") | {"Idempotency-Key": "large-document-1"}
    for _ in range(2):
        with path.open("rb") as file:
            answer = service.http.post(
                "/api/v1/signatures",
                files={"file": ("lớn.pdf", file, "application/pdf")},
                data={"credential_id": hall.person.id, "pin": PIN, "how": '{"level": "B-B"}'},
                headers=headers,
            )
        assert answer.status_code == 201, answer.text
        assert answer.content.startswith(path.read_bytes())
        assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["idempotency-replayed"] == "true"
