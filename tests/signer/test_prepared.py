"""Signatures prepared here and made with keys elsewhere (docs/flows/prepared.md)."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select

from ca.status import revocation
from ca.status.revocation import RevocationReason
from records import audit
from records.models import AuditEntry
from signer.cms import Scheme
from signer.elsewhere import prepared_rows
from signer.elsewhere.prepared import Answer
from signer.elsewhere.prepared_models import PreparedRow
from signer.errors import DocumentRefused, PreparationRefused, SignerError, SignerRefused
from signer.files.formats import Canonicalization, FileRequest, Format, SourceFile
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signature import SignatureRequest
from signer.verdicts.validation import validate
from tests.signer import paper
from tests.signer.elsewhere import CLIENT, Citizen, trusting
from tests.signer.signed_files import DOSSIER, REPORT, sources
from tests.signer.software_ca import holder
from tests.signer.software_desk import pdfsig, qpdf_check
from tests.world import BY, World

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
DECISION = SourceFile("quyết định.pdf", paper.decision(), "application/pdf")
PADES_B_B = SignatureRequest(level=Level.B_B)


def states(world: World) -> list[tuple[str, int]]:
    with world.database.reading() as session:
        return [(row.state, row.tries) for row in session.scalars(select(PreparedRow))]


def tags(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


@ONLY_SQLITE
@pytest.mark.parametrize("kind", ["p-256", "rsa-2048", "p-384"])
def test_a_pdf_at_every_level(world: World, tmp_path: Path, kind: str) -> None:
    """EN 319 142-1 §6: the citizen's own key, our time-stamps and revocation data."""
    citizen = Citizen.of(world, kind)
    for level in Level if kind == "p-256" else (Level.B_LTA,):
        look = Appearance.person(title="NGƯỜI NỘP", name="Lê Văn Thử", box=(300, 60, 520, 190))
        waiting = citizen.prepare(SignatureRequest(level=level, appearance=look), DECISION)
        assert waiting.proven
        value = citizen.value(waiting.to_sign or b"", waiting.digest_name)
        done = citizen.complete(waiting, Answer(value=value), DECISION)
        assert done.verdict.level == f"PAdES-BASELINE-{level.value[2:]}"
        assert done.data.startswith(DECISION.data)
        report = validate(done.data, trust=world.trust, now=world.now)
        assert report.passed == level.long_term, report.to_text("en")
        assert report.signatures[0].signer == "Lê Văn Thử"
    path = tmp_path / "signed.pdf"
    path.write_bytes(done.data)
    assert qpdf_check(path) == ""
    assert "Signature is Valid" in pdfsig(path)


@ONLY_SQLITE
@pytest.mark.parametrize("chosen", list(Format))
def test_every_other_format(world: World, chosen: Format) -> None:
    """The same for CAdES, XAdES and containers; ECDSA as r and s side by side."""
    citizen = Citizen.of(world)
    files = sources(chosen)
    request = FileRequest(chosen, level=Level.B_LTA, canonicalization=Canonicalization.INCLUSIVE)
    waiting = citizen.prepare(request, *files)
    value = citizen.value(waiting.to_sign or b"", side_by_side=True)
    done = citizen.complete(waiting, Answer(value=value), *files)
    family = "XAdES" if "xades" in chosen.value else "CAdES"
    assert done.verdict.level == f"{family}-BASELINE-LTA"
    content = files[0].data if chosen.detached else None
    report = validate(done.data, trust=world.trust, now=world.now, content=content)
    assert report.passed, report.to_text("en")
    assert report.signatures[0].covers_whole_file


@ONLY_SQLITE
def test_pss(world: World) -> None:
    """RFC 4056: the client is told the scheme, and nothing but that scheme fits."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    citizen = Citizen.of(world, "rsa-2048")
    request = FileRequest(Format.CADES_DETACHED, level=Level.B_T, scheme=Scheme.RSA_PSS)
    waiting = citizen.prepare(request, REPORT)
    assert waiting.scheme is Scheme.RSA_PSS
    wrong = Answer(value=citizen.value(waiting.to_sign or b""))
    with pytest.raises(PreparationRefused, match="does not fit"):
        citizen.complete(waiting, wrong, REPORT)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    value = citizen.key.sign(waiting.to_sign, scheme, hashes.SHA256())
    done = citizen.complete(waiting, Answer(value=value), REPORT)
    assert done.verdict.level == "CAdES-BASELINE-T"


@ONLY_SQLITE
def test_openssl_signs(world: World, tmp_path: Path) -> None:
    """A program that knows nothing of us makes the value, and a whole CMS."""
    citizen = Citizen.of(world)
    key = citizen.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "k.pem").write_bytes(key)
    (tmp_path / "c.pem").write_bytes(citizen.certificate.public_bytes(Encoding.PEM))
    waiting = citizen.prepare(SignatureRequest(level=Level.B_LT), DECISION)
    (tmp_path / "in").write_bytes(waiting.to_sign or b"")
    run = ["openssl", "dgst", "-sha256", "-sign", "k.pem", "-out", "value", "in"]
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    answer = Answer(value=(tmp_path / "value").read_bytes())
    done = citizen.complete(waiting, answer, DECISION)
    assert validate(done.data, trust=world.trust, now=world.now).passed

    for chosen, more in (
        (Format.CADES_DETACHED, []),
        (Format.CADES_ENVELOPING, ["-nodetach"]),
        (Format.CADES_DETACHED, ["-stream", "-indef"]),
    ):
        request = FileRequest(chosen, level=Level.B_LTA)
        # Whose certificate it is comes with the CMS.
        waiting = citizen.prepare(request, REPORT, certificate=None)
        (tmp_path / "in").write_bytes(REPORT.data)
        run = [
            *("openssl", "cms", "-sign", "-cades", "-binary", "-in", "in", "-signer", "c.pem"),
            *("-inkey", "k.pem", "-outform", "DER", "-out", "cms", "-md", "sha256", *more),
        ]
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
        answer = Answer(cms=(tmp_path / "cms").read_bytes())
        done = citizen.complete(waiting, answer, REPORT)
        content = REPORT.data if chosen.detached else None
        report = validate(done.data, trust=world.trust, now=world.now, content=content)
        assert report.passed, report.to_text("en")


@ONLY_SQLITE
def test_a_cms_for_a_pdf(world: World) -> None:
    """pyHanko makes the CMS over the digest of the byte range; ours is what is around it."""
    citizen = Citizen.of(world)
    waiting = citizen.prepare(SignatureRequest(level=Level.B_LTA), DECISION, certificate=None)
    assert waiting.to_sign is None
    assert waiting.digest is not None
    with pytest.raises(PreparationRefused) as refused:
        citizen.complete(waiting, Answer(value=b"1"), DECISION)
    assert refused.value.code == "cms-needed"
    for wrong, code in (
        (citizen.cms(bytes(32)), "cms-does-not-fit"),
        (b"\x30\x03\x02\x01\x01", "cms-unreadable"),
    ):
        with pytest.raises(PreparationRefused) as refused:
            citizen.complete(waiting, Answer(cms=wrong), DECISION)
        assert refused.value.code == code
    done = citizen.complete(waiting, Answer(cms=citizen.cms(waiting.digest)), DECISION)
    assert validate(done.data, trust=world.trust, now=world.now).passed
    assert done.verdict.level == "PAdES-BASELINE-LTA"
    other = citizen.prepare(PADES_B_B, DECISION)
    made = Citizen.of(world).cms(other.digest or b"")
    with pytest.raises(PreparationRefused) as refused:
        citizen.complete(other, Answer(cms=made), DECISION)
    assert refused.value.code == "cms-of-another"


def test_once_and_only_what_was_prepared(world: World) -> None:
    """Single use, in time, by this client, the same file; what was erased is erased."""
    citizen = Citizen.of(world)
    waiting = citizen.prepare(PADES_B_B, DECISION)
    answer = Answer(value=citizen.value(waiting.to_sign or b""))

    def code(*files: SourceFile, **more: Any) -> str:
        with pytest.raises(SignerError) as refused:
            citizen.complete(waiting, more.pop("answer", answer), *files, **more)
        assert refused.value.message("vi") != refused.value.message("en")
        return refused.value.code

    assert code(DECISION, client="client:other") == "preparation-unknown"
    assert code(SourceFile("khác.pdf", DECISION.data, "application/pdf")) == "prepared-differs"
    assert code(DECISION, answer=Answer()) == "value-or-cms"
    assert states(world) == [("open", 2)]
    with pytest.raises(OSError, match="full"):
        citizen.complete(waiting, answer, DECISION, keep=_full)
    assert states(world) == [("open", 3)]
    done = citizen.complete(waiting, answer, DECISION)
    assert code(DECISION) == "preparation-used"
    row = prepared_rows.look(world.desk, waiting.id, client=CLIENT)
    assert (row.state, row.result) == ("completed", hashlib.sha256(done.data).hexdigest())
    assert (row.before, row.after, row.to_sign) == (None, None, None)
    waiting = citizen.prepare(PADES_B_B, DECISION)
    assert code(DECISION, now=world.now + timedelta(minutes=11)) == "preparation-expired"
    assert prepared_rows.expire(world.desk, now=world.now + timedelta(minutes=11)) == 1
    assert code(DECISION) == "preparation-expired"
    waiting = citizen.prepare(PADES_B_B, DECISION)
    prepared_rows.take(world.desk, waiting.id, client=CLIENT, now=world.now, by=BY)
    assert code(DECISION) == "preparation-in-hand"
    assert tags(world).count("signature.prepared") == 3
    assert tags(world).count("signature.completed") == 1
    assert "preparation.refused" in tags(world)
    assert audit.verify(world.database).ok


def _full(_: object) -> None:
    raise OSError(28, "disk full")


def test_five_wrong_values_and_no_more(world: World) -> None:
    """A value is not to be guessed, nor the checker to be worn out."""
    citizen = Citizen.of(world)
    waiting = citizen.prepare(PADES_B_B, DECISION)
    wrong = citizen.value(b"something else")
    codes = []
    for _ in range(6):
        with pytest.raises(PreparationRefused) as refused:
            citizen.complete(waiting, Answer(value=wrong), DECISION)
        codes.append(refused.value.code)
    assert codes == ["value-does-not-fit"] * 5 + ["preparation-used"]
    assert states(world) == [("void", 5)]


@ONLY_SQLITE
def test_revoked_between(world: World) -> None:
    """DOMAIN.md §2: the certificate's status is checked before signing, and again after."""
    citizen = Citizen.of(world)
    waiting = citizen.prepare(PADES_B_B, DECISION)
    answer = Answer(value=citizen.value(waiting.to_sign or b""))
    later = world.now + timedelta(seconds=2)
    revocation.revoke(
        world.authority, citizen.certificate.serial_number,
        reason=RevocationReason.KEY_COMPROMISE, now=world.now, by=BY,
    )  # fmt: skip
    with pytest.raises(SignerRefused) as refused:
        citizen.complete(waiting, answer, DECISION, now=later)
    assert refused.value.code == "signer-not-trusted"
    with pytest.raises(SignerRefused):
        citizen.prepare(PADES_B_B, DECISION, now=later)


@ONLY_SQLITE
def test_certificates_of_others(world: World) -> None:
    """Anchors are configured, never taken from what was sent; unknown status goes to B-T only."""
    stranger = Citizen.foreign(world, holder("p-256"))
    others = [one.public_bytes(Encoding.DER) for one in holder("p-256").chain]
    with pytest.raises(SignerRefused) as refused:
        stranger.prepare(PADES_B_B, DECISION, others=others)
    assert refused.value.code == "signer-not-trusted"
    desk = trusting(world, *holder("p-256").chain)
    waiting = stranger.prepare(SignatureRequest(level=Level.B_T), DECISION, desk=desk)
    assert waiting.proven is False
    answer = Answer(value=stranger.value(waiting.to_sign or b""))
    done = stranger.complete(waiting, answer, DECISION, desk=desk)
    assert done.verdict.level == "PAdES-BASELINE-T"
    assert done.verdict.indication.value == "INDETERMINATE"
    waiting = stranger.prepare(SignatureRequest(level=Level.B_LT), DECISION, desk=desk)
    answer = Answer(value=stranger.value(waiting.to_sign or b""))
    with pytest.raises(PreparationRefused) as unproven:
        stranger.complete(waiting, answer, DECISION, desk=desk)
    assert unproven.value.code == "signer-status-unproven"
    issuer = world.authority.issuer("persons-g1").certificate
    with pytest.raises(SignerRefused) as purpose:
        stranger.prepare(PADES_B_B, DECISION, certificate=issuer.public_bytes(Encoding.DER))
    assert purpose.value.code == "signer-not-for-signing"
    with pytest.raises(SignerError):
        stranger.prepare(PADES_B_B, DECISION, certificate=b"\x30\x00")


@ONLY_SQLITE
def test_what_cannot_be_prepared_says_why(world: World) -> None:
    """The refusals of signing hold here too; nothing is left open."""
    citizen = Citizen.of(world)
    look = Appearance.person(title="A", name="B", box=(300, 60, 520, 190))
    shown = SignatureRequest(appearance=look)
    locked = SourceFile("a.pdf", paper.encrypted(paper.decision()), "application/pdf")
    for request, files, more, code in (
        (PADES_B_B, (locked,), {}, "document-encrypted"),
        (PADES_B_B, (DECISION, REPORT), {}, "format-takes-one-file"),
        (shown, (DECISION,), {"certificate": None}, "certificate-needed"),
        (
            FileRequest(Format.XADES_ENVELOPED),
            (DOSSIER,),
            {"certificate": None},
            "certificate-needed",
        ),
        (FileRequest(Format.XADES_ENVELOPED), (REPORT,), {}, "xml-malformed"),
        (PADES_B_B, (DECISION,), {"minutes": 61}, "preparation-too-long"),
    ):
        with pytest.raises((SignerError, DocumentRefused)) as refused:
            citizen.prepare(request, *files, **more)
        assert refused.value.code == code
    assert states(world) == []
    assert tags(world).count("preparation.refused") == 6
