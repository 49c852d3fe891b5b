"""CAdES, XAdES and ASiC-E: the flow of a signature, and each level before EU DSS."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from ca.status import revocation
from ca.status.revocation import RevocationReason
from hsm.errors import TokenUnavailable
from records import audit
from records.errors import DomainError
from records.models import AuditEntry
from signer import joint
from signer.errors import ActivationRefused, CredentialUnusable, DocumentRefused, SignerError
from signer.files.file_signing import FileRequest, Format, SignedFiles, SourceFile, sign_files
from signer.levels import Level
from signer.models import AuthorizedDigestRow, SignatureRow
from signer.verdicts.validation import validate
from tests.interop import maven_judges
from tests.signer.holders import BY, OFFICIAL_PIN, authorizer
from tests.signer.signed_files import DOSSIER, REPORT, TABLE, Official, sources
from tests.world import World


@pytest.fixture
def official(world: World) -> Official:
    return Official.of(world)


one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@one_database
@pytest.mark.parametrize("chosen", list(Format))
def test_each_level_is_what_it_claims(official: Official, chosen: Format) -> None:
    """EN 319 122-1, 132-1 §6 and 162-1: what was asked for is what a validator finds.

    EN 319 102-1 §5.2.5: without revocation data nothing is passed.
    """
    world = official.world
    for level in Level:
        signed = official.sign(FileRequest(chosen, level=level))
        content = sources(chosen)[0].data if chosen.detached else None
        report = validate(signed.data, trust=world.trust, now=world.now, content=content)
        (verdict,) = report.signatures
        family = "XAdES" if "xades" in chosen.value else "CAdES"
        assert verdict.level == f"{family}-BASELINE-{level.value[2:]}", report.to_text("en")
        assert verdict.signer == "Nguyễn Thị Mẫu"
        assert verdict.covers_whole_file
        assert report.passed == level.long_term, report.to_text("en")
        assert level.long_term or report.indication.value == "INDETERMINATE"


@one_database
def test_eu_dss_recognises_every_level_of_every_format(official: Official, tmp_path: Path) -> None:
    """CAdES-BASELINE-LTA and so on by their names, and TOTAL_PASSED."""
    reason = maven_judges.why_absent("dss")
    if reason is not None:
        pytest.skip(reason)
    world = official.world
    root = tmp_path / "root.cer"
    root.write_bytes(world.authority.issuer("root").certificate.public_bytes(Encoding.DER))
    expected, contents = {}, {}
    for chosen in Format:
        for level in Level:
            signed = official.sign(FileRequest(chosen, level=level))
            path = tmp_path / f"{chosen.value}-{level.value}-{signed.name}"
            path.write_bytes(signed.data)
            if chosen.detached:
                contents[path] = tmp_path / sources(chosen)[0].name
                contents[path].write_bytes(sources(chosen)[0].data)
            family = "XAdES" if "xades" in chosen.value else "CAdES"
            expected[path] = (f"{family}-BASELINE-{level.value[2:]}", level.long_term)
    verdicts = maven_judges.dss(list(expected), trust=[root], contents=contents)
    found = {Path(one.file): one for one in verdicts}
    for path, (level, passes) in expected.items():
        verdict = found[path]
        assert verdict.level == level, (path.name, verdict)
        assert verdict.intact
        if passes:
            assert verdict.indication == "TOTAL_PASSED", (path.name, verdict)
            assert "warning" not in verdict.messages, verdict


def test_every_file_is_authorised_and_written_down(official: Official) -> None:
    """DESIGN.md §3.3: intention and outcome for each file, with its audit entry."""
    world = official.world
    signed = official.sign(FileRequest(Format.ASIC_E_CADES, level=Level.B_T))
    with world.database.reading() as session:
        rows = session.scalars(select(SignatureRow)).all()
        tags = session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)).all()
    assert {row.document for row in rows} == {one.digest.hex() for one in (REPORT, TABLE)}
    assert {(row.state, row.level, row.result) for row in rows} == {
        ("made", "B-T", hashlib.sha256(signed.data).hexdigest())
    }
    assert [one for one in tags if one.startswith("signature")] == [
        *["signature.intended"] * 2,
        *["signature.made"] * 2,
    ]
    assert audit.verify(world.database).ok


def test_all_files_are_authorised_or_none_is_signed(official: Official) -> None:
    """SRA_SAP.2.5: the holder's authorisation names each file; a further one refuses all."""
    world = official.world
    give = authorizer(world, official.holders.official, OFFICIAL_PIN)
    with pytest.raises(ActivationRefused) as refused:
        sign_files(
            world.desk, [REPORT, TABLE], FileRequest(Format.ASIC_E_XADES),
            authorization=give([REPORT.digest]), now=world.now, by=BY,
        )  # fmt: skip
    assert refused.value.code == "digest-not-authorized"
    with world.database.reading() as session:
        assert session.scalars(select(SignatureRow)).all() == []
        assert session.scalars(select(AuthorizedDigestRow.state)).all() == ["open"]
        assert "signature.refused" in session.scalars(select(AuditEntry.tag)).all()


def test_a_failure_while_signing_leaves_nothing(
    official: Official, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token goes away between intention and outcome: void, and the digest is free again."""

    def away(*_: object, **__: object) -> None:
        raise TokenUnavailable("SessionLost")

    monkeypatch.setattr(joint, "key_of", away)
    with pytest.raises(TokenUnavailable):
        official.sign(FileRequest(Format.CADES_DETACHED))
    with official.world.database.reading() as session:
        assert session.scalars(select(SignatureRow.state)).all() == ["void"]
        assert session.scalars(select(AuthorizedDigestRow.state)).all() == ["open"]


def test_what_cannot_be_kept_is_not_signed(official: Official) -> None:
    """`keep` stores the result before the outcome is committed; its failure voids all."""

    def full(_: SignedFiles) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        official.sign(FileRequest(Format.CADES_ENVELOPING), keep=full)
    with official.world.database.reading() as session:
        assert session.scalars(select(SignatureRow.state)).all() == ["void"]


@one_database
def test_a_revoked_certificate_signs_nothing(official: Official) -> None:
    """DOMAIN.md §2: "Before signing: check … the certificate's validity and status." """
    world = official.world
    give = authorizer(world, official.holders.official, OFFICIAL_PIN)
    authorization = give([REPORT.digest])
    revocation.revoke(
        world.authority,
        official.holders.official.certificate.serial_number,
        reason=RevocationReason.AFFILIATION_CHANGED,
        now=world.now,
        by=BY,
    )
    with pytest.raises(CredentialUnusable) as refused:
        sign_files(
            world.desk, [REPORT], FileRequest(Format.CADES_DETACHED),
            authorization=authorization, now=world.now + timedelta(seconds=1), by=BY,
        )  # fmt: skip
    assert refused.value.code == "certificate-revoked"


@one_database
@pytest.mark.parametrize(
    ("chosen", "files", "code"),
    [
        (Format.CADES_DETACHED, (REPORT, TABLE), "format-takes-one-file"),
        (Format.XADES_ENVELOPED, (REPORT,), "xml-malformed"),
        (Format.ASIC_E_CADES, (SourceFile("../a.txt", b"a"),), "file-name-unusable"),
        (Format.ASIC_E_CADES, (SourceFile("meta-inf/x.p7s", b"a"),), "file-name-unusable"),
        (Format.ASIC_E_CADES, (SourceFile("mimetype", b"a"),), "file-name-unusable"),
        (
            Format.ASIC_E_XADES,
            (SourceFile("Ho So.txt", b"a"), SourceFile("ho so.TXT", b"b")),
            "file-names-alike",
        ),
        (
            Format.XADES_ENVELOPED,
            (SourceFile("a.xml", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'),),
            "xml-doctype",
        ),
    ],
)
def test_what_cannot_be_signed_says_why(
    official: Official, chosen: Format, files: tuple[SourceFile, ...], code: str
) -> None:
    """Every refusal has a code and words in both languages; nothing is reserved."""
    with pytest.raises((DocumentRefused, SignerError)) as refused:
        official.sign(FileRequest(chosen), *files)
    assert refused.value.code == code
    assert refused.value.message("vi") != refused.value.message("en")


@one_database
def test_the_original_xml_comes_back(official: Official) -> None:
    """Enveloped: without the signature the document is the canonical document it was."""
    from lxml import etree

    signed = official.sign(FileRequest(Format.XADES_ENVELOPED), DOSSIER)
    before, after = etree.fromstring(DOSSIER.data), etree.fromstring(signed.data)
    after.remove(after[-1])
    assert etree.tostring(before, method="c14n") == etree.tostring(after, method="c14n")


def test_unknown_codes_have_words() -> None:
    """A refusal without words would reach a person as a code."""
    for code in ("xml-already-signed", "zip-malformed", "validation-partly-signed"):
        assert DomainError(code, reason="x").message("vi") != code
