"""`./dauso campaign large-documents`: 200 MB of PDF through the HTTP API, and the memory it takes.

    ./dauso campaign large-documents                  # 200 MB; --megabytes N for another size

`dauso serve` runs as a process of its own on its embedded default. A client uploads the document,
has it signed as PAdES B-LTA and fetches it, piece by piece; the kernel's own account of the server
(VmRSS before, VmHWM afterwards, set back between the acts) says how much memory each act took.
Deriving a key from the PIN takes 64 MB by design (argon2id): an act that asks for the PIN may take
that and no more than a bounded rest, whatever the size of the document. The result must be the
original with something after it, and pdfsig and qpdf must find it whole.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pikepdf

from bench.batch_served import PIN, service
from bench.report import Report, arguments
from tests.signer import paper

_BOUND_MB = 64
"""What an act may take, beside a PIN's derivation."""
_PIN_MB = 64
_MB = 1 << 20


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when memory grew with the document, or the result is not whole."""
    parser = arguments("Large documents over HTTP")
    parser.add_argument("--megabytes", type=int, metavar="N", help="the document's size")
    options = parser.parse_args(arguments_)
    report = Report("large-documents", options)
    megabytes = options.megabytes or (30 if report.quick else 200)
    wrong: list[str] = []
    with (
        TemporaryDirectory(prefix="dauso-large-") as directory,
        service(DAUSO_MAX_UPLOAD_MB=str(megabytes + 20)) as (http, credential, server),
    ):
        folder = Path(directory)
        # The first signature of a service's life loads what it needs; that is not the document's.
        small = folder / "small.pdf"
        small.write_bytes(paper.decision())
        _run(http, credential, small, folder / "small-signed.pdf", lambda _name, act: act())
        source, signed = folder / "large.pdf", folder / "signed.pdf"
        digest = _large(source, megabytes)
        peaks: list[int] = []
        report.say(f"a document of {source.stat().st_size >> 20} MB")

        def measured(name: str, act: Callable[[], None]) -> None:
            Path(f"/proc/{server}/clear_refs").write_text("5")
            before, began = _memory(server, "VmRSS"), time.monotonic()
            act()
            seconds = time.monotonic() - began
            peaks.append(_memory(server, "VmHWM"))
            peak = peaks[-1] - before
            bound = _BOUND_MB + (_PIN_MB if name == "authorise" else 0)
            report.add(f"{name}: memory taken", peak / _MB, "MB", limit=bound, peer="MB at most",
                       goal=1.0)  # fmt: skip
            if name != "authorise":
                report.add(f"{name}: speed", megabytes / seconds, "MB/s")

        _run(http, credential, source, signed, measured)
        report.add("the server in all, at its peak", max(peaks) / _MB, "MB")
        wrong = _not_whole(source, digest, signed)
    for one in wrong:
        report.say(one)
    report.add("what judges found", len(wrong), "faults", peer="none may")
    return max(report.finish(), int(bool(wrong)))


def _large(path: Path, megabytes: int) -> str:
    """A page, and that much in it which nothing compresses; its digest."""
    path.write_bytes(paper.decision())
    noise = hashlib.shake_256(b"noise").digest(_MB)
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        pdf.Root.TESTPadding = pikepdf.Array(
            [pdf.make_stream(noise + number.to_bytes(4)) for number in range(megabytes)]
        )
        pdf.save(path, compress_streams=False, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return _digest(path)


def _run(
    http: httpx.Client,
    credential: str,
    source: Path,
    signed: Path,
    act: Callable[[str, Callable[[], None]], None],
) -> None:
    """Upload, authorise the digest that came back, sign, fetch."""
    found: dict[str, str] = {}

    def upload() -> None:
        with source.open("rb") as file:
            answer = http.post(
                "/api/v1/documents", files={"file": (source.name, file, "application/pdf")}
            )
        found.update(answer.raise_for_status().json())

    def authorise() -> None:
        order = {"credential_id": credential, "pin": PIN, "document_ids": [found["id"]]}
        answer = http.post("/api/v1/authorizations", json=order)
        found["sad"] = answer.raise_for_status().json()["sad"]

    def sign() -> None:
        order = {"sad": found["sad"], "level": "B-LTA"}
        answer = http.post(f"/api/v1/documents/{found['id']}/signatures", json=order)
        found["made"] = answer.raise_for_status().json()["content_url"]

    def fetch() -> None:
        with http.stream("GET", found["made"]) as answer, signed.open("wb") as file:
            for piece in answer.raise_for_status().iter_bytes():
                file.write(piece)

    for name, one in (
        ("upload", upload), ("authorise", authorise), ("sign, B-LTA", sign), ("fetch", fetch)
    ):  # fmt: skip
        act(name, one)


def _not_whole(source: Path, digest: str, signed: Path) -> list[str]:
    """What is wrong with the result, by its bytes and by programs nobody here wrote."""
    wrong = []
    with signed.open("rb") as file:
        start = hashlib.sha256()
        left = source.stat().st_size
        while left and (piece := file.read(min(_MB, left))):
            start.update(piece)
            left -= len(piece)
    if start.hexdigest() != digest:
        wrong.append("the original's bytes are not there")
    for command, good in (
        (["pdfsig", "-nocert"], "Signature is Valid"),
        (["qpdf", "--check"], "No syntax or stream encoding errors"),
    ):
        if shutil.which(command[0]) is None:
            wrong.append(f"{command[0]} is not installed")
            continue
        said = subprocess.run([*command, signed], capture_output=True, text=True, check=False)
        if good not in said.stdout:
            wrong.append(f"{command[0]}: {said.stdout[-300:]} {said.stderr[-300:]}")
    return wrong


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _memory(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(one.split()[1]) << 10 for one in lines if one.startswith(f"{name}:"))


if __name__ == "__main__":
    raise SystemExit(main())
