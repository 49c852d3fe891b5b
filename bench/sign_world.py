"""A desk with a holder for the signing bench: a real ceremony, a real token, RSA-2048 wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bench.ca_world import BY, BenchWorld, bench_world
from ca.authority import Authority
from ca.names import Subject
from ca.status.ocsp import Responder
from ca.time.tsa import TimeStampAuthority
from ca.trust import TrustStore
from hsm.custody import Custody, WrappedKey
from hsm.mechanisms import KeyAlgorithm
from hsm.sealing import unseal_with_pin
from hsm.token import Token
from records.blobs import BlobStore
from records.database import Database
from signer import signing
from signer.desk import Desk
from signer.holders import holder_images
from signer.keys import credentials, images
from signer.keys.credentials import Credential
from signer.levels import Level
from signer.looks import appearance
from signer.looks.appearance import Appearance
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.signature import Pen
from signer.signing import SignatureRequest
from tests.signer.pictures import signature_png

PIN = "925817"
LOOK = Appearance(
    page=1,
    box=(340, 60, 520, 190),
    lines=("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"),
    name="Nguyễn Thị Mẫu",
    show_time=True,
)


@dataclass(frozen=True)
class Bureau:
    """A desk, a holder with an open key, and the picture of their signature."""

    world: BenchWorld
    desk: Desk
    credential: Credential
    wrapped: WrappedKey
    picture: images.Picture
    now: datetime

    def pen(self) -> Pen:
        until = self.now + timedelta(hours=4)
        key = self.desk.custody.kept(self.wrapped, handle="bench", until=until, now=self.now)
        return Pen(signing.template_for(self.desk, self.credential), key, self.credential.name)

    def sign(
        self,
        original: Original,
        pen: Pen,
        level: Level,
        *,
        visible: bool,
    ) -> tuple[bytes, ...]:
        """Step 1 and steps 5 to 8 of sign_pdf, with the digest of the result."""
        request = SignatureRequest(level=level, appearance=LOOK if visible else None)
        with Document.open(original, self.desk.limits) as document:
            document.require_signable()
            stamp = None
            if visible:
                stamp = appearance.place(
                    document,
                    LOOK,
                    signer=self.credential.name,
                    picture=self.picture,
                    shelf=self.desk.stamps,
                )
            appender, _ = signing.write_signature(
                self.desk, document, request, self.credential, pen, stamp, now=self.now
            )
            appender.state().digest()
            return tuple(appender.revisions)


def desk_of(authority: Authority, database: Database, token: Token, home: Path) -> Desk:
    return Desk(
        database=database,
        blobs=BlobStore(str(home / "blobs")),
        authority=authority,
        custody=Custody(token),
        responder=Responder(authority),
        tsa=TimeStampAuthority(authority),
        trust=TrustStore.from_authority(authority),
    )


@contextmanager
def bureau() -> Iterator[Bureau]:
    """One official with an RSA-2048 key, an uploaded picture, and everything in process."""
    with bench_world() as world:
        desk = desk_of(world.authority, world.database, world.token, world.home)
        credential = credentials.enrol(
            desk,
            profile="official",
            subject=Subject.official(
                "Nguyễn Thị Mẫu", citizen_id="038800000001", unit="UBND phường Hạc Thành"
            ),
            holder_id="CCCD:038800000001",
            pin=PIN,
            algorithm=KeyAlgorithm.RSA_2048,
            now=world.now,
            by=BY,
        )
        png = signature_png()
        holder_images.set_image(desk, credential.id, png, approved_by=BY, now=world.now, by=BY)
        yield Bureau(
            world,
            desk,
            credential,
            opened(credential),
            images.check(png, "signature"),
            world.now,
        )


def opened(credential: Credential) -> WrappedKey:
    """What an authorisation opens: the wrapped key without its seal."""
    blob = unseal_with_pin(credential.sealed_key, PIN, context=credential.context)
    return WrappedKey(blob, credential.algorithm, credential.public_key)
