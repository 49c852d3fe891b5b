"""Our own documents: every level, with and without a seal, passes; no forgery of one does."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.status import crl
from signer import workflow
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.report import Changes
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests import attacks
from tests.interop import maven_judges
from tests.signer import paper
from tests.signer.holders import AGENCY_PIN, BY, OFFICIAL_PIN, Holders, authorizer, enrol
from tests.world import ONE_DATABASE, World


@pytest.fixture
def holders(world: World) -> Holders:
    return enrol(world)


def current_lists(world: World) -> list[bytes]:
    """What the service itself holds fresh: the current CRL of each of its issuers."""
    lists = [crl.current(world.authority, issuer.name) for issuer in world.authority.issuers()]
    return [one for one in lists if one is not None]


def sealed(world: World, holders: Holders, level: Level, *, pdfa: str | None = "a-2b") -> bytes:
    return workflow.sign_then_seal(
        world.desk, paper.decision(pdfa=pdfa),
        person=authorizer(world, holders.official, OFFICIAL_PIN),
        person_request=SignatureRequest(level=level, appearance=Appearance.person()),
        seal=authorizer(world, holders.agency, AGENCY_PIN),
        seal_request=SignatureRequest(level=level, appearance=Appearance.seal()),
        now=world.now, by=BY, seal_by="official:clerk",
    ).data  # fmt: skip


@ONE_DATABASE
@pytest.mark.parametrize("level", [Level.B_LT, Level.B_LTA])
def test_signed_and_sealed(world: World, holders: Holders, level: Level) -> None:
    """Person, seal, DSS, document time-stamps: TOTAL_PASSED for both, with nothing but the root."""
    data = sealed(world, holders, level)
    report = validate(data, trust=world.trust, now=world.now)
    assert report.passed, report.to_text("en")
    name = "PAdES-BASELINE-" + ("LTA" if level is Level.B_LTA else "LT")
    assert [one.level for one in report.signatures] == [name, name]
    assert [one.changes for one in report.signatures] == [
        Changes.PERMITTED,
        Changes.ARCHIVE_DATA_ONLY,
    ]


@ONE_DATABASE
@pytest.mark.parametrize("level", [Level.B_B, Level.B_T])
def test_lower_levels_need_the_lists(world: World, holders: Holders, level: Level) -> None:
    """Without revocation data the verdict is open; with the service's own lists it passes."""
    data = paper.decision()
    give = authorizer(world, holders.official, OFFICIAL_PIN)
    signed = sign_pdf(
        world.desk, data, SignatureRequest(level=level),
        authorization=give([document_digest(data)]), now=world.now, by=BY,
    ).data  # fmt: skip
    later = world.now + dt.timedelta(minutes=1)
    bare = validate(signed, trust=world.trust, now=later)
    assert bare.sub_indication is SubIndication.TRY_LATER
    crl.publish(world.authority, "persons-g1", now=world.now, by=BY)
    crl.publish(world.authority, "services-g1", now=world.now, by=BY)
    known = validate(signed, trust=world.trust, now=later, revocation=current_lists(world))
    assert known.passed, known.to_text("en")


@ONE_DATABASE
def test_no_forgery_of_our_own_documents_passes(world: World, holders: Holders) -> None:
    """On what our own signer makes."""
    data = sealed(world, holders, Level.B_LTA, pdfa=None)
    assert validate(data, trust=world.trust, now=world.now).passed
    seen = 0
    for mutant in attacks.mutants(data, ("isa", "pages", "ssa")):
        seen += 1
        assert not validate(mutant.data, trust=world.trust, now=world.now).passed, mutant
    assert seen > 60


@ONE_DATABASE
def test_eu_dss_agrees(
    world: World, holders: Holders, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Judge: the European Commission's DSS gives the same indication and level."""
    absent = maven_judges.why_absent("dss")
    if absent:
        pytest.skip(absent)
    folder = tmp_path_factory.mktemp("dss")
    path, root = folder / "sealed.pdf", folder / "root.cer"
    path.write_bytes(sealed(world, holders, Level.B_LTA))
    root.write_bytes(world.trust.anchors[0].public_bytes(Encoding.DER))
    ours = validate(path.read_bytes(), trust=world.trust, now=world.now)
    theirs = maven_judges.dss([path], trust=[root])
    assert [one.indication for one in theirs] == [one.indication for one in ours.signatures]
    assert [one.level for one in theirs] == [one.level for one in ours.signatures]
