"""An official and an agency in a test's world, enrolled, with pictures and quick keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ca.names import Subject
from hsm.mechanisms import KeyAlgorithm
from signer.holders import holder_images
from signer.keys import activation, credentials
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential
from tests.signer.pictures import seal_png, signature_png
from tests.world import World

OFFICIAL_PIN, AGENCY_PIN = "925817", "mẫu-192837"
CLIENT = "client:procedure-system"
BY = "operator:test"


@dataclass(frozen=True)
class Holders:
    official: Credential
    agency: Credential


def enrol(world: World, *, algorithm: KeyAlgorithm = KeyAlgorithm.P_256) -> Holders:
    """Fictional people, numbers beginning 0388."""
    official = credentials.enrol(
        world.desk,
        profile="official",
        subject=Subject.official(
            "Nguyễn Thị Mẫu",
            citizen_id="038800000001",
            unit="UBND phường Hạc Thành",
            title="Phó Chủ tịch",
        ),
        holder_id="CCCD:038800000001",
        unit="H56.DEMO.1",
        pin=OFFICIAL_PIN,
        algorithm=algorithm,
        now=world.now,
        by=BY,
    )
    agency = credentials.enrol(
        world.desk,
        profile="agency-seal",
        subject=Subject.agency(
            "UBND phường Hạc Thành", tax_code="2800000001", budget_code="1000001"
        ),
        holder_id="MST:2800000001",
        unit="H56.DEMO.1",
        pin=AGENCY_PIN,
        algorithm=algorithm,
        now=world.now,
        by=BY,
    )
    for holder, picture in ((official, signature_png()), (agency, seal_png())):
        holder_images.set_image(
            world.desk, holder.id, picture, approved_by="official:approver", now=world.now, by=BY
        )
    return Holders(official, agency)


def authorizer(world: World, credential: Credential, pin: str) -> Callable[..., Authorization]:
    """Gives an authorisation for the digests it is called with."""

    def give(digests: Sequence[bytes], **kwargs: Any) -> Authorization:
        return activation.authorize(
            world.desk,
            credential_id=credential.id,
            pin=pin,
            digests=digests,
            client=CLIENT,
            now=kwargs.pop("now", world.now),
            by=BY,
            **kwargs,
        )

    return give
