"""The flow of a signature: each step, each refusal, each interruption; and each level, judged."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation import KeyUsageConstraints
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager
from sqlalchemy import select

from hsm.errors import TokenUnavailable
from hsm.mechanisms import KeyAlgorithm
from records import audit
from records.errors import DomainError
from records.models import AuditEntry
from signer import signing
from signer.errors import ActivationRefused, CredentialUnusable, DocumentRefused
from signer.keys import activation, credentials
from signer.levels import Level
from signer.long_life import augmentation
from signer.looks.appearance import Appearance
from signer.models import AuthorizationRow, AuthorizedDigestRow, SignatureRow
from signer.pdf.original import Original
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.validation import validate
from tests.interop import maven_judges
from tests.signer import paper
from tests.signer.holders import BY, OFFICIAL_PIN, Holders, authorizer, enrol
from tests.signer.software_desk import pdfsig, qpdf_check
from tests.world import ONE_DATABASE, World


@pytest.fixture
def holders(world: World) -> Holders:
    return enrol(world)


@pytest.fixture
def give(world: World, holders: Holders) -> Callable[..., activation.Authorization]:
    return authorizer(world, holders.official, OFFICIAL_PIN)


def sign(
    world: World, give: Any, data: bytes, request: SignatureRequest | None = None, **more: Any
) -> Any:
    authorization = give([document_digest(data)])
    return sign_pdf(
        world.desk, data, request or SignatureRequest(), authorization=authorization,
        now=world.now, by=BY, **more,
    )  # fmt: skip


def rows(world: World) -> list[SignatureRow]:
    with world.database.reading() as session:
        return list(session.scalars(select(SignatureRow).order_by(SignatureRow.id)))


def digest_states(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuthorizedDigestRow.state)))


def tags(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


@ONE_DATABASE
@pytest.mark.parametrize("level", list(Level))
def test_each_level_is_what_it_claims(
    world: World, give: Any, level: Level, tmp_path: Path
) -> None:
    """EN 319 142-1 §6: recognised by our validator, poppler and qpdf as valid at this level."""
    data = paper.decision(pdfa="a-2b")
    signed = sign(world, give, data, SignatureRequest(level=level, appearance=Appearance.person()))
    assert signed.data.startswith(data)
    assert signed.digest == hashlib.sha256(signed.data).hexdigest()
    assert b"".join(signed.chunks()) == signed.data
    (tmp_path / "s.pdf").write_bytes(signed.data)
    assert qpdf_check(tmp_path / "s.pdf") == ""
    assert "Signature is Valid" in pdfsig(tmp_path / "s.pdf")
    report = validate(signed.data, trust=world.trust, now=world.now)
    (verdict,) = report.signatures
    assert verdict.signer == "Nguyễn Thị Mẫu"
    assert (verdict.level or "").endswith(level.value[1:])
    # B-B and B-T carry no revocation data: without asking the CA nothing can be proved.
    if level.long_term:
        assert verdict.indication.value == "TOTAL_PASSED", report.to_text("en")


@ONE_DATABASE
def test_eu_dss_recognises_each_level(world: World, give: Any, tmp_path: Path) -> None:
    """PAdES-BASELINE-B, -T, -LT and -LTA by their names, and TOTAL_PASSED."""
    reason = maven_judges.why_absent("dss")
    if reason is not None:
        pytest.skip(reason)
    root = tmp_path / "root.cer"
    root.write_bytes(world.authority.issuer("root").certificate.public_bytes(Encoding.DER))
    files = {}
    for level in Level:
        data = sign(world, give, paper.decision(), SignatureRequest(level=level)).data
        files[level] = tmp_path / f"{level.value}.pdf"
        files[level].write_bytes(data)
    verdicts = {Path(v.file).stem: v for v in maven_judges.dss(list(files.values()), trust=[root])}
    for level in Level:
        assert verdicts[level.value].level == level.pades
        assert verdicts[level.value].intact
        if level.long_term:
            assert verdicts[level.value].indication == "TOTAL_PASSED", verdicts[level.value]


@ONE_DATABASE
def test_pyhanko_validates_long_term(world: World, give: Any) -> None:
    """EN 319 102-1 §5.6.3, by pyHanko: from what is in the file alone, nothing fetched."""
    data = sign(world, give, paper.decision(), SignatureRequest(level=Level.B_LTA)).data
    root = world.authority.issuer("root").certificate.public_bytes(Encoding.DER)
    (embedded,) = PdfFileReader(io.BytesIO(data)).embedded_regular_signatures
    policy = SignatureValidationSpec(
        cert_validation_policy=CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build([asn1_x509.Certificate.load(root)]),
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
        ),
        revinfo_gathering_policy=RevocationInfoGatheringSpec(
            online_fetching_rule=RevinfoOnlineFetchingRule.LOCAL_ONLY
        ),
        key_usage_settings=KeyUsageConstraints(key_usage={"non_repudiation"}),
    )
    result = asyncio.run(ades_lta_validation(embedded, PdfSignatureValidationSpec(policy)))
    assert result.ades_subindic is AdESPassed.OK, result.failure_msg


@ONE_DATABASE
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.P_384])
def test_other_keys_sign_too(world: World, algorithm: KeyAlgorithm) -> None:
    """RSA with PKCS #1 v1.5, and a curve whose digest is SHA-384."""
    holders = enrol(world, algorithm=algorithm)
    give = authorizer(world, holders.official, OFFICIAL_PIN)
    signed = sign(world, give, paper.decision(), SignatureRequest(level=Level.B_LTA))
    (verdict,) = validate(signed.data, trust=world.trust, now=world.now).signatures
    assert verdict.indication.value == "TOTAL_PASSED"


def test_everything_is_written_down(world: World, give: Any) -> None:
    """Intention and outcome, each with its audit entry in the same transaction."""
    signed = sign(world, give, paper.decision(), SignatureRequest(level=Level.B_T))
    (row,) = rows(world)
    assert (row.id, row.state, row.result) == (signed.signature_id, "made", signed.digest)
    assert (row.document, row.level, row.field) == (
        document_digest(paper.decision()).hex(), "B-T", signed.field,
    )  # fmt: skip
    assert [one for one in tags(world) if one.startswith("signature")] == [
        "signature.intended", "signature.made",
    ]  # fmt: skip
    assert audit.verify(world.database).ok


def test_a_used_up_authorisation_keeps_no_key(world: World, give: Any) -> None:
    """After the last digest the sealed key is erased at once, not when time runs out."""
    data = paper.decision()
    authorization = give([document_digest(data)])
    sign_pdf(
        world.desk, data, SignatureRequest(), authorization=authorization, now=world.now, by=BY
    )
    with world.database.reading() as session:
        row = session.get_one(AuthorizationRow, authorization.id)
    assert (row.ended, row.sealed_key) == (True, None)
    assert authorization.id not in world.desk.opened
    with pytest.raises(ActivationRefused):
        sign_pdf(
            world.desk, data, SignatureRequest(), authorization=authorization, now=world.now, by=BY
        )


def test_what_was_shown_is_what_is_signed(world: World, give: Any) -> None:
    """The digest of the shown file is the digest in the authorisation."""
    authorization = give([document_digest(paper.decision())])
    other = paper.decision() + b"\n"
    with pytest.raises(ActivationRefused) as caught:
        sign_pdf(
            world.desk, other, SignatureRequest(), authorization=authorization, now=world.now, by=BY
        )
    assert caught.value.code == "digest-not-authorized"
    assert rows(world) == []
    assert "signature.refused" in tags(world)


def test_an_unfit_document_costs_nothing(world: World, give: Any) -> None:
    """Refused before the authorisation is touched: it may be used for the right file."""
    broken = paper.decision()[:-700]
    authorization = give([document_digest(broken), document_digest(paper.decision())])
    with pytest.raises(DocumentRefused):
        sign_pdf(
            world.desk,
            broken,
            SignatureRequest(),
            authorization=authorization,
            now=world.now,
            by=BY,
        )
    assert digest_states(world) == ["open", "open"]
    assert rows(world) == []


def test_a_credential_suspended_meanwhile_signs_nothing(
    world: World, holders: Holders, give: Any
) -> None:
    """The status is checked at the moment of signing, not only when the PIN was given."""
    data = paper.decision()
    authorization = give([document_digest(data)])
    credentials.suspend(world.desk, holders.official.id, reason="x", now=world.now, by=BY)
    with pytest.raises(CredentialUnusable):
        sign_pdf(
            world.desk, data, SignatureRequest(), authorization=authorization, now=world.now, by=BY
        )
    assert rows(world) == []


def test_a_vanished_token_leaves_nothing_half_signed(
    world: World, give: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intention is voided, the digest free again; the same authorisation succeeds later."""
    data = paper.decision()
    authorization = give([document_digest(data)])

    def gone(*_: object, **__: object) -> bytes:
        raise TokenUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr("signer.cms.CmsTemplate.sign", gone)
        with pytest.raises(DomainError) as caught:
            sign_pdf(
                world.desk, data, SignatureRequest(), authorization=authorization,
                now=world.now, by=BY,
            )  # fmt: skip
    assert caught.value.code == "token-absent"
    assert [(one.state, one.failure) for one in rows(world)] == [("void", "token-absent")]
    assert digest_states(world) == ["open"]
    sign_pdf(
        world.desk, data, SignatureRequest(), authorization=authorization, now=world.now, by=BY
    )
    assert digest_states(world) == ["used"]


@pytest.mark.parametrize(
    "step", ["signer.signing.write_signature", "signer.signing._record_outcome"]
)
def test_an_interruption_is_recovered(
    world: World, give: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Nothing acknowledged is lost, nothing is done twice: an open intention is voided once."""
    data = paper.decision()
    authorization = give([document_digest(data)])

    def killed(*_: object, **__: object) -> None:
        raise SystemExit  # what a signal makes of a process: nothing of ours runs after it

    with monkeypatch.context() as dying:
        dying.setattr(step, killed)
        with pytest.raises(SystemExit):
            sign_pdf(
                world.desk, data, SignatureRequest(), authorization=authorization,
                now=world.now, by=BY,
            )  # fmt: skip
    assert [one.state for one in rows(world)] == ["intended"]
    assert signing.recover(world.desk, now=world.now, by="system:signer") == 0
    later = world.now + timedelta(minutes=11)
    assert signing.recover(world.desk, now=later, by="system:signer") == 1
    assert signing.recover(world.desk, now=later, by="system:signer") == 0
    assert [one.state for one in rows(world)] == ["void"]
    assert digest_states(world) == ["open"]


def test_a_hybrid_file_is_good_for_everybody(world: World, give: Any) -> None:
    """ISO 32000-1 §7.5.8.4: signed and valid; but not with a second body for an object, and not
    when the hybrid section comes after the signature."""
    plain = paper.decision(pages=2)
    with pikepdf.open(io.BytesIO(plain)) as pdf:
        content = pdf.pages[0].Contents.objgen[0]
    wanted = SignatureRequest(level=Level.B_LTA)

    def judged(data: bytes) -> Any:
        return validate(data, trust=world.trust, now=world.now)

    signed = sign(world, give, paper.shaped("hybrid"), wanted).data
    assert judged(signed).passed, judged(signed).to_text("en")
    replaced = sign(world, give, paper.hybrid(plain, instead_of=content), wanted).data
    assert not judged(replaced).passed
    assert not judged(paper.hybrid(signed)).passed


def test_a_process_that_was_thought_dead_delivers_nothing(world: World, give: Any) -> None:
    """Nothing is done twice: what recovery voided may be signed again, so it is never told."""
    later = world.now + timedelta(minutes=11)

    def taken_for_dead(_: object) -> None:
        assert signing.recover(world.desk, now=later, by="system:signer") == 1

    with pytest.raises(ActivationRefused) as caught:
        sign(world, give, paper.decision(), keep=taken_for_dead)
    assert caught.value.code == "intention-lost"
    assert [one.state for one in rows(world)] == ["void"]
    assert digest_states(world) == ["open"]
    assert "signature.made" not in tags(world)


def test_the_result_is_kept_before_its_outcome(world: World, give: Any) -> None:
    """`keep` runs first: if it fails (a full disk), the signature does not exist for anybody."""

    def full(_: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="space"):
        sign(world, give, paper.decision(), keep=full)
    assert [one.state for one in rows(world)] == ["void"]
    kept: list[str] = []
    sign(world, give, paper.decision(), keep=lambda one: kept.append(world.blobs.put(one.data)))
    assert world.blobs.exists(kept[0])


@ONE_DATABASE
def test_a_mapped_file_is_signed_in_place(world: World, give: Any, tmp_path: Path) -> None:
    """Big files are mapped; original and revisions stay apart until they are delivered."""
    path = tmp_path / "big.pdf"
    path.write_bytes(paper.padded(paper.decision(), 8))
    original = Original.at(path)
    authorization = give([original.sha256])
    signed = sign_pdf(
        world.desk, original, SignatureRequest(level=Level.B_LT), authorization=authorization,
        now=world.now, by=BY,
    )  # fmt: skip
    assert sum(map(len, signed.revisions)) < 60_000
    out = tmp_path / "signed.pdf"
    with out.open("wb") as file:
        file.writelines(signed.chunks())
    assert hashlib.sha256(out.read_bytes()).hexdigest() == signed.digest
    assert qpdf_check(out) == ""


@ONE_DATABASE
def test_a_signature_is_raised_later(world: World, give: Any) -> None:
    """EN 319 142-1 §5.4: from B-B to B-LTA by added revisions, and renewed after that."""
    data = sign(world, give, paper.decision()).data
    later = world.now + timedelta(minutes=2)
    for level in (Level.B_T, Level.B_LT, Level.B_LTA, Level.B_LTA):
        raised = augmentation.augment(world.desk, data, to=level, now=later, by=BY)
        assert raised.startswith(data)
        data = raised
    (verdict,) = validate(data, trust=world.trust, now=later).signatures
    assert verdict.indication.value == "TOTAL_PASSED"
    assert (verdict.level or "").endswith("LTA")
    with pikepdf.open(io.BytesIO(data)) as pdf:
        digests = [hashlib.sha256(one.read_bytes()).digest() for one in pdf.Root.DSS.Certs]
    assert len(digests) == len(set(digests)), "each certificate stands once in the store"
    assert tags(world).count("signature.augmented") == 4


def test_an_unsigned_file_has_nothing_to_raise(world: World) -> None:
    """The reason is said."""
    with pytest.raises(DocumentRefused) as caught:
        augmentation.augment(world.desk, paper.decision(), to=Level.B_LT, now=world.now, by=BY)
    assert caught.value.code == "not-signed"


def test_level_names_are_read_in_every_spelling() -> None:
    """What people and programs write."""
    for text in ("B-LT", "b_lt", "PAdES-BASELINE-LT", "BASELINE-LT"):
        assert Level.parse(text) is Level.B_LT
    with pytest.raises(ValueError):
        Level.parse("B-XL")
