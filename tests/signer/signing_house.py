"""A unit whose documents go through the steps: a reviewer, a deputy who signs, a clerk, a seal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ca.names import Subject
from hsm.mechanisms import KeyAlgorithm
from signer.holders import holder_images
from signer.keys import activation, credentials
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential
from signer.routing import delegations, steps
from signer.routing.routed_documents import Actor, RoutedDocument
from signer.routing.step_routes import PlannedStep, StepKind
from signer.routing.steps import Submission
from signer.routing.working_days import local
from tests.certify.town_hall import DEMO
from tests.signer.drafts import draft
from tests.world import World

UNIT = "14797"
PIN, SEAL_PIN = "483920", "719406"
DRAFTER = Actor("official:038900000009", "CCCD:038900000009", "Hoàng Thị Soạn", UNIT, frozenset())
DEPUTY = Actor(
    "official:038800000001", "CCCD:038800000001", "Lê Văn Thử", UNIT, frozenset({"signer"})
)
REVIEWER = Actor(
    "official:038800000002", "CCCD:038800000002", "Nguyễn Thị Mẫu", UNIT, frozenset({"signer"})
)
CLERK = Actor(
    "official:038900000003", "CCCD:038900000003", "Phạm Văn Thư", UNIT, frozenset({"clerk"})
)
STRANGER = Actor(
    "official:038900000004",
    "CCCD:038900000004",
    "Người Lạ",
    "14758",
    frozenset({"signer", "clerk"}),
)
LINES = ("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH")
ROUTE = (
    PlannedStep(StepKind.INITIAL, UNIT, REVIEWER.holder_id),
    PlannedStep(StepKind.SIGNATURE, UNIT, DEPUTY.holder_id, days=2),
    PlannedStep(StepKind.NUMBER, UNIT),
    PlannedStep(StepKind.SEAL, UNIT),
)


@dataclass
class SigningHouse:
    """A unit in a world, and what its people do."""

    world: World
    deputy: Credential
    reviewer: Credential
    seal: Credential

    def draft(self, **more: Any) -> bytes:
        """A decision that can be numbered today."""
        return draft(local(self.world.now).year, **more)

    def submission(self, *, route: Sequence[PlannedStep] = ROUTE, title: str = "Thử") -> Submission:
        return Submission(
            unit=UNIT,
            title=title,
            kind="QĐ",
            symbol="QĐ-UBND",
            name="quyet-dinh.pdf",
            drafter=DRAFTER.holder_id or "",
            steps=route,
        )

    def submit(
        self, *, route: Sequence[PlannedStep] = ROUTE, actor: Actor = DRAFTER, **more: Any
    ) -> RoutedDocument:
        return steps.submit(
            self.world.desk,
            self.draft(**more),
            self.submission(route=route),
            actor=actor,
            now=self.world.now,
        )

    def initial(self, document: RoutedDocument, actor: Actor = REVIEWER) -> RoutedDocument:
        return steps.initial(
            self.world.desk, document.id, shown=document.file, actor=actor, now=self.world.now
        )

    def sign(
        self,
        document: RoutedDocument,
        kind: StepKind = StepKind.SIGNATURE,
        *,
        actor: Actor | None = None,
        **more: Any,
    ) -> RoutedDocument:
        """The act of a step as its own person does it."""
        mine = kind is StepKind.SIGNATURE
        credential, pin = (self.deputy, PIN) if mine else (self.seal, SEAL_PIN)
        wanted = {
            "shown": document.file,
            "credential_id": credential.id,
            "authorize": self.hand(credential, pin),
            "actor": actor or (DEPUTY if mine else CLERK),
            "now": self.world.now,
            **more,
        }
        return steps.sign(self.world.desk, document.id, kind, **wanted)

    def hand(self, credential: Credential, pin: str) -> Callable[[Sequence[bytes]], Authorization]:
        """A person who is asked for the PIN."""

        def give(digests: Sequence[bytes]) -> Authorization:
            return activation.authorize(
                self.world.desk,
                credential_id=credential.id,
                pin=pin,
                digests=digests,
                client="pages",
                now=self.world.now,
                by="official:test",
            )

        return give


def signing_house(
    world: World, *, delegated: bool = True, algorithm: KeyAlgorithm = KeyAlgorithm.P_256
) -> SigningHouse:
    """Fictional people, quick keys, a deputy with a delegation in force."""
    enrol = partial(
        credentials.enrol, world.desk, unit=UNIT, algorithm=algorithm, now=world.now, by="op:test"
    )
    people = [
        enrol(
            profile="official",
            subject=Subject.official(
                who.name,
                citizen_id=(who.holder_id or "").removeprefix("CCCD:"),
                unit="UBND PHƯỜNG HẠC THÀNH",
                title=title,
            ),
            holder_id=who.holder_id or "",
            pin=PIN,
        )
        for who, title in ((DEPUTY, "Phó Chủ tịch"), (REVIEWER, "Trưởng phòng"))
    ]
    seal = enrol(
        profile="agency-seal",
        subject=Subject.agency(
            "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH", tax_code="2800000001", budget_code="1000001"
        ),
        holder_id="MST:2800000001",
        pin=SEAL_PIN,
    )
    for one, picture in ((people[0], "signature-1.png"), (seal, "seal.png")):
        holder_images.set_image(
            world.desk,
            one.id,
            (DEMO / picture).read_bytes(),
            approved_by="official:approver",
            now=world.now,
            by="op:test",
        )
    house = SigningHouse(world, people[0], people[1], seal)
    if delegated:
        delegate(house)
    return house


def delegate(house: SigningHouse, **more: Any) -> delegations.SigningDelegation:
    """The deputy signs decisions for the chairman."""
    wanted: dict[str, Any] = {
        "unit": UNIT,
        "holder_id": DEPUTY.holder_id,
        "name": DEPUTY.name,
        "authority_lines": LINES,
        "kinds": ("QĐ",),
        "basis": "Quyết định số 01/QĐ-UBND",
        "now": house.world.now,
        "by": "official:admin",
        **more,
    }
    return delegations.give(house.world.desk, **wanted)
