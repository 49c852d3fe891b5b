"""CA certificates and CRLs as plain files, for a web server or CDN in front of the service.

    write(authority, Path("/srv/pki"))          # → certificates/*.cer, crl/*.crl

A file is replaced only when its content changes, and whole: written beside, flushed, renamed. So a
reader never sees half a list, and a CDN keeps what has not changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from ca.status.crl_scope import COMPLETE, DELTA, Scope
from ca.status.status_models import CrlRow, CrlState

if TYPE_CHECKING:
    from ca.authority import Authority


def write(authority: Authority, directory: Path) -> list[str]:
    """Bring the directory up to date; returns the paths (relative) that changed."""
    return [
        relative
        for relative, content in _files(authority)
        if _replace(directory / relative, content)
    ]


def _files(authority: Authority) -> Iterator[tuple[str, bytes]]:
    for issuer in authority.issuers():
        yield f"certificates/{issuer.name}.cer", issuer.certificate.public_bytes(Encoding.DER)
    for issuer in authority.issuers():
        with authority.database.reading() as session:
            rows = session.execute(
                select(CrlRow.scope, CrlRow.der)
                .where(
                    CrlRow.issuer == issuer.name,
                    CrlRow.state == CrlState.ISSUED.value,
                    CrlRow.der.is_not(None),
                )
                .order_by(CrlRow.number)
            )
            newest = {scope: der for scope, der in rows if der is not None}
        for scope_name in sorted(newest):
            yield f"crl/{_scope(scope_name).file_name(issuer.name)}", newest[scope_name]


def _scope(name: str) -> Scope:
    for scope in (COMPLETE, DELTA):
        if scope.name == name:
            return scope
    return Scope.of_shard(int(name.removeprefix("shard-")))


def _replace(path: Path, content: bytes) -> bool:
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.chmod(0o644)
    part.replace(path)
    return True
