"""Steps 1 to 5 of the demonstration, each one function over the wired house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from api.demonstration.cast import (
    AUTHORITY,
    CITIZEN,
    CLERK_ID,
    DOCUMENT_KIND,
    DOSSIER,
    INPUTS,
    OFFICIAL_ID,
)
from certify import competence, issuance, verification
from certify.counter import intake
from certify.counter.cases import Presentation
from certify.money import payments
from certify.scans import captures, comparison
from certify.scans.comparison import Checklist
from certify.stores import store
from records import audit
from records.errors import DomainError
from signer import workflow
from signer.holders import holder_images
from signer.keys import activation, credentials
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signing import SignatureRequest
from signer.verdicts.validation import validate

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from api.demonstration.cast import Cast
    from api.house import House
    from certify.issuance import CertifiedCopy
    from certify.verification import PublicStatus
    from signer.keys.activation import Authorization
    from signer.keys.credentials import Credential
    from signer.verdicts.report import Report

OPERATOR = "operator:demo"
CLERK = "official:van-thu-demo"
INTAKE = "official:tiep-nhan-demo"


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Made:
    """What the run has produced so far."""

    official: Credential = field(init=False)
    agency: Credential = field(init=False)
    decision: bytes = field(init=False, repr=False)
    copy: CertifiedCopy = field(init=False)
    decision_report: Report = field(init=False)
    copy_report: Report = field(init=False)
    copy_status: PublicStatus = field(init=False)


def enrol(house: House, cast: Cast, made: Made) -> None:
    """Step 2: keys on the token, sealed under PINs; certificates after lint; images approved."""
    now = clock()
    made.official = credentials.enrol(
        house.desk,
        profile="official",
        subject=cast.official,
        holder_id=OFFICIAL_ID,
        unit=cast.unit.code,
        pin=cast.official_pin,
        now=now,
        by=OPERATOR,
    )
    made.agency = credentials.enrol(
        house.desk,
        profile="agency-seal",
        subject=cast.agency,
        holder_id=f"UNIT:{cast.unit.code}",
        keeper=CLERK_ID,
        unit=cast.unit.code,
        pin=cast.agency_pin,
        now=now,
        by=OPERATOR,
    )
    for credential, picture in ((made.official, "signature-1.png"), (made.agency, "seal.png")):
        holder_images.set_image(
            house.desk,
            credential.id,
            (INPUTS / picture).read_bytes(),
            approved_by=OPERATOR,
            now=now,
            by=OPERATOR,
        )
    competence.delegate(
        house.office,
        unit=cast.unit.code,
        holder_id=OFFICIAL_ID,
        name=made.official.name,
        title=AUTHORITY[-1],
        authority_lines=AUTHORITY,
        basis="Quyết định phân công số 01/QĐ-UBND (TEST)",
        now=now,
        by=OPERATOR,
    )


def sign_decision(house: House, cast: Cast, made: Made) -> None:
    """Step 3: the official signs, the clerk seals, both PAdES B-LTA with our own time-stamps."""

    def holder(credential: Credential, pin: str, by: str) -> workflow.Authorizer:
        def authorize(digests: Sequence[bytes]) -> Authorization:
            return activation.authorize(
                house.desk,
                credential_id=credential.id,
                pin=pin,
                digests=digests,
                client="client:demo",
                now=clock(),
                by=by,
            )

        return authorize

    sealed = workflow.sign_then_seal(
        house.desk,
        cast.decision,
        person=holder(made.official, cast.official_pin, f"official:{OFFICIAL_ID}"),
        person_request=SignatureRequest(
            level=Level.B_LTA,
            appearance=Appearance.person(anchor=made.official.name),
            reason="Ký ban hành quyết định",
            location="Thanh Hóa",
        ),
        seal=holder(made.agency, cast.agency_pin, CLERK),
        seal_request=SignatureRequest(
            level=Level.B_LTA, appearance=Appearance.seal(), location="Thanh Hóa"
        ),
        now=clock(),
        by=f"official:{OFFICIAL_ID}",
        seal_by=CLERK,
    )
    made.decision = sealed.data


def certify(house: House, cast: Cast, made: Made) -> None:
    """Step 4: presented, captured, compared, paid, certified, sealed, kept in the store."""
    now = clock()
    case = intake.open_case(
        house.office,
        unit=cast.unit.code,
        requester=CITIZEN,
        document_kind=DOCUMENT_KIND,
        original=cast.original,
        presented=Presentation(at=now, place=cast.unit.committee, to=INTAKE),
        dossier_code=DOSSIER,
        now=now,
        by=INTAKE,
    )
    captures.record_capture(house.office, case.id, cast.scans, now=clock(), by=INTAKE)
    comparison.record_comparison(
        house.office, case.id, pages=[True, True], checklist=Checklist(), now=clock(), by=INTAKE
    )
    payments.pay(house.office, case.id, method="cash", now=clock(), by=INTAKE)
    made.copy = issuance.certify_copy(
        house.office,
        case.id,
        person=(made.official.id, cast.official_pin),
        seal=(made.agency.id, cast.agency_pin),
        now=clock(),
        by=f"official:{OFFICIAL_ID}",
    )
    kept = store.items(house.office, owner_id=CITIZEN.owner_id)
    if [item.digest for item in kept] != [made.copy.digest]:
        raise RuntimeError("the copy is not in the citizen's store")


def verify(house: House, made: Made) -> None:
    """Step 5: both results by file, the copy by its code too; the audit log as a whole."""
    now = clock()
    made.decision_report = validate(made.decision, trust=house.trust, now=now).named(
        "decision-signed.pdf"
    )
    report, status = verification.verify_file(house.office, made.copy.data, now=now)
    by_code = verification.verify_code(house.office, made.copy.code, now=now)
    if status != by_code or status is None:
        raise RuntimeError("the copy's status by file and by code differ")
    made.copy_report, made.copy_status = report.named("certified-copy.pdf"), status
    for one in (made.decision_report, made.copy_report):
        if not one.passed:
            raise RuntimeError(f"{one.file}: {one.indication} {one.sub_indication}")
    if not audit.verify(house.database).ok:
        raise RuntimeError("the audit log is not whole")


@contextmanager
def serving(house: House, listening: socket.socket) -> Iterator[str]:
    """The house's own HTTP service on `listening`, its own address, while the block runs."""
    import threading
    import time

    import uvicorn

    from api.app import create_app
    from api.request_log import configure

    configure("ERROR")  # the steps are what is told here, not each request
    config = uvicorn.Config(create_app(house), log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        yield house.settings.base_url
    finally:
        server.should_exit = True
        thread.join(10)


def fresh_home(home: Path) -> None:
    """Each run of the demonstration begins with nothing; only its own directory is emptied."""
    import shutil

    marker = home / "demonstration"
    if home.exists():
        if any(home.iterdir()) and not marker.exists():
            raise DomainError("not-a-demonstration", path=home)
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True)
    marker.touch(mode=0o600)
