"""The OCSP responder: honest, quick, and unmoved by what strangers send."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from ca import der
from ca.der import MalformedDer
from ca.errors import CaError
from ca.models import IntentionRow, serial_text
from ca.status import crl, ocsp_encoding, ocsp_request, status_lint
from ca.status.ocsp import OcspPolicy, Responder, decode_get
from ca.status.ocsp_encoding import AnswerTemplate, IssuerNames, Single
from ca.status.status_models import OcspAnswerRow
from hsm.errors import TokenUnavailable
from records.database import Database
from tests.ca.status_world import BY, ISSUER, Reason, StatusWorld, key, run

HOUR = timedelta(hours=1)
MALFORMED = b"\x30\x03\x0a\x01\x01"
TRY_LATER = b"\x30\x03\x0a\x01\x03"
UNAUTHORIZED = b"\x30\x03\x0a\x01\x06"


@pytest.fixture
def world(database: Database, now: datetime) -> StatusWorld:
    return StatusWorld(database, now)


@pytest.fixture
def responder(world: StatusWorld) -> Responder:
    return Responder(world.authority)


def question(
    world: StatusWorld,
    serial: int,
    *,
    nonce: bytes | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
    issuer: x509.Certificate | None = None,
) -> bytes:
    algorithm = algorithm or hashes.SHA1()
    names = issuer or world.issuer
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        _digest(algorithm, names.subject.public_bytes()),
        _digest(algorithm, ocsp_encoding.public_key_bits(names)),
        serial,
        algorithm,
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    return hashlib.new(algorithm.name, data).digest()


def several(world: StatusWorld, serials: list[int], **extra: object) -> bytes:
    """A request for several certificates, made by asn1crypto."""
    name_hash = hashlib.sha256(world.issuer.subject.public_bytes()).digest()
    key_hash = hashlib.sha256(ocsp_encoding.public_key_bits(world.issuer)).digest()
    requests = [
        {
            "req_cert": {
                "hash_algorithm": {"algorithm": "sha256"},
                "issuer_name_hash": name_hash,
                "issuer_key_hash": key_hash,
                "serial_number": serial,
            }
        }
        for serial in serials
    ]
    encoded: bytes = asn1_ocsp.OCSPRequest(
        {"tbs_request": {"request_list": requests, **extra}}
    ).dump()
    return encoded


def test_good_for_what_was_issued(world: StatusWorld, responder: Responder) -> None:
    """RFC 6960 §2.2: *good* is said of a certificate that exists and is not revoked."""
    certificate = world.issue()
    answer = ocsp.load_der_ocsp_response(
        responder.respond(question(world, certificate.serial_number), issuer=ISSUER, now=world.now)
    )
    assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert answer.this_update_utc == answer.produced_at_utc == world.now
    assert answer.next_update_utc == world.now + OcspPolicy().lifetime
    assert answer.certificates == [world.ocsp]
    cutoff = answer.single_extensions.get_extension_for_oid(
        x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.6")
    )
    assert cutoff is not None


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])
def test_revoked_with_time_and_reason(
    world: StatusWorld, responder: Responder, algorithm: hashes.HashAlgorithm
) -> None:
    """RFC 6960 §4.2.1 RevokedInfo; the CertID is repeated in the requester's own hash."""
    certificate = world.issue()
    world.change(certificate.serial_number, Reason.key_compromise)
    asked = question(world, certificate.serial_number, algorithm=algorithm)
    answer = ocsp.load_der_ocsp_response(responder.respond(asked, issuer=ISSUER, now=world.now))
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_time_utc == world.now
    assert answer.revocation_reason is Reason.key_compromise
    assert answer.hash_algorithm.name == algorithm.name


@pytest.mark.parametrize("serial", [1, 2**159 - 1, 2**200, -5, 0])
def test_unissued_serial_is_never_good(
    world: StatusWorld, responder: Responder, serial: int
) -> None:
    """RFC 6960 §2.2: for a non-issued certificate *revoked*, with reason certificateHold, time
    January 1, 1970, and the extended revoke extension in the answer."""
    names = IssuerNames(world.issuer)
    cert_id = names.cert_id(serial)
    asked = der.sequence(der.sequence(der.sequence(der.sequence(cert_id.encoded))))
    reply = responder.respond(asked, issuer=ISSUER, now=world.now)
    basic = asn1_ocsp.OCSPResponse.load(reply).basic_ocsp_response
    (single,) = basic["tbs_response_data"]["responses"]
    status = single["cert_status"].native
    assert status["revocation_time"].year == 1970
    assert status["revocation_reason"] == "certificate_hold"
    extensions = [
        one["extn_id"].dotted for one in basic["tbs_response_data"]["response_extensions"]
    ]
    assert extensions == ["1.3.6.1.5.5.7.48.1.9"]


def test_serial_being_issued_is_unknown(world: StatusWorld, responder: Responder) -> None:
    """Between intention and outcome nobody can say; *good* may follow a moment later."""
    serial = 2**100 + 7
    with world.database.transaction() as session:
        session.add(
            IntentionRow(
                serial=serial_text(serial), issuer=ISSUER, profile="official",
                tbs_sha256=b"\0" * 32, spki_sha256=b"\0" * 32, subject="Lê Văn Thử",
                made_at=world.now, made_by=BY,
            )
        )  # fmt: skip
    asked = question(world, serial)
    reply = responder.reply(asked, issuer=ISSUER, now=world.now)
    answer = ocsp.load_der_ocsp_response(reply.der)
    assert answer.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert reply.max_age(world.now) == 0
    world.issue(serial)
    answer = ocsp.load_der_ocsp_response(responder.respond(asked, issuer=ISSUER, now=world.now))
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("length", [1, 16, 32, 128])
def test_nonce_is_returned(world: StatusWorld, responder: Responder, length: int) -> None:
    """RFC 9654 §2.1: a nonce of 1 to 128 octets comes back unchanged, in an answer of its own."""
    certificate = world.issue()
    nonce = bytes(range(length))
    asked = question(world, certificate.serial_number, nonce=nonce)
    reply = responder.reply(asked, issuer=ISSUER, now=world.now)
    answer = ocsp.load_der_ocsp_response(reply.der)
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert reply.max_age(world.now) == 0


@pytest.mark.parametrize("length", [0, 129, 4096])
def test_nonce_of_forbidden_length_is_malformed(
    world: StatusWorld, responder: Responder, length: int
) -> None:
    """RFC 9654 §2.1: "Servers MUST reject any OCSP request that has a nonce ... with length of
    either 0 octets or more than 128 octets with the malformedRequest OCSPResponseStatus.\""""
    asked = question(world, 1, nonce=bytes(length))
    assert responder.respond(asked, issuer=ISSUER, now=world.now) == MALFORMED


def test_several_certificates_in_one_request(world: StatusWorld, responder: Responder) -> None:
    """RFC 6960 §4.2.1: one SingleResponse for each certificate asked about, in order."""
    good, bad = world.issue(), world.issue()
    world.change(bad.serial_number)
    asked = several(world, [good.serial_number, bad.serial_number, 4])
    reply = responder.respond(asked, issuer=ISSUER, now=world.now)
    tbs = asn1_ocsp.OCSPResponse.load(reply).basic_ocsp_response["tbs_response_data"]
    found = [
        (one["cert_id"]["serial_number"].native, one["cert_status"].name)
        for one in tbs["responses"]
    ]
    assert found == [(good.serial_number, "good"), (bad.serial_number, "revoked"), (4, "revoked")]


def test_other_peoples_certificates_are_not_ours_to_judge(
    world: StatusWorld, responder: Responder
) -> None:
    """RFC 6960 §2.3: *unauthorized* when the server cannot answer authoritatively; among ours, a
    stranger's is *unknown* (§2.2)."""
    asked = question(world, 5, issuer=world.root)
    assert responder.respond(asked, issuer=ISSUER, now=world.now) == UNAUTHORIZED
    certificate = world.issue()
    ours, theirs = IssuerNames(world.issuer), IssuerNames(world.root)
    both = der.sequence(
        der.sequence(
            der.sequence(
                der.sequence(theirs.cert_id(5).encoded),
                der.sequence(ours.cert_id(certificate.serial_number).encoded),
            )
        )
    )
    reply = responder.respond(both, issuer=ISSUER, now=world.now)
    tbs = asn1_ocsp.OCSPResponse.load(reply).basic_ocsp_response["tbs_response_data"]
    assert [one["cert_status"].name for one in tbs["responses"]] == ["unknown", "good"]


def test_unknown_critical_extension_is_malformed(world: StatusWorld, responder: Responder) -> None:
    """RFC 6960 §4.4: what a requester marks critical and nobody understands cannot be honoured."""
    extension = {
        "extn_id": "1.2.3.4",
        "critical": True,
        "extn_value": core.ParsableOctetString(b"x"),
    }
    asked = several(world, [4], request_extensions=[extension])
    assert responder.respond(asked, issuer=ISSUER, now=world.now) == MALFORMED
    extension["critical"] = False
    asked = several(world, [4], request_extensions=[extension])
    assert responder.respond(asked, issuer=ISSUER, now=world.now) != MALFORMED


def test_same_question_same_answer_until_overtaken(world: StatusWorld) -> None:
    """RFC 5019 §2.2: answers without a nonce are made ahead and repeated; a revocation overtakes
    them, in this process at once and in another within a second."""
    certificate = world.issue()
    here, there = Responder(world.authority), Responder(world.another_process())
    asked = question(world, certificate.serial_number)
    first = here.reply(asked, issuer=ISSUER, now=world.now)
    assert here.reply(asked, issuer=ISSUER, now=world.now + HOUR).der == first.der
    assert first.max_age(world.now) == 2 * 3600
    assert first.etag == hashlib.sha256(first.der).hexdigest()
    there.respond(asked, issuer=ISSUER, now=world.now + HOUR)
    world.change(certificate.serial_number, now=world.now + HOUR)
    soon = world.now + HOUR + timedelta(seconds=1)
    for process, moment in ((here, world.now + HOUR), (there, soon)):
        answer = ocsp.load_der_ocsp_response(process.respond(asked, issuer=ISSUER, now=moment))
        assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_remembered_answers_need_no_database(
    world: StatusWorld, responder: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event loop may ask: memory only, and only while the view of revocations is fresh."""
    certificate = world.issue()
    asked = question(world, certificate.serial_number)
    assert responder.remembered(asked, issuer=ISSUER, now=world.now) is None
    made = responder.respond(asked, issuer=ISSUER, now=world.now)

    def untouchable(*_: object) -> None:
        raise AssertionError("the database was asked")

    with monkeypatch.context() as patched:
        patched.setattr(world.database, "reading", untouchable)
        patched.setattr(world.database, "transaction", untouchable)
        again = responder.remembered(asked, issuer=ISSUER, now=world.now)
        assert again is not None
        assert again.der == made
        later = world.now + timedelta(seconds=1)
        assert responder.remembered(asked, issuer=ISSUER, now=later) is None
    world.change(certificate.serial_number)
    assert responder.remembered(asked, issuer=ISSUER, now=world.now) is None


def test_hot_certificates_are_answered_from_the_store(world: StatusWorld) -> None:
    """Asked again in the second half of the answer's life: signed anew, and stored for all
    processes; with the token gone the stored answer is still served."""
    certificate = world.issue()
    responder = Responder(world.authority)
    asked = question(world, certificate.serial_number)
    responder.respond(asked, issuer=ISSUER, now=world.now)
    later = world.now + 2 * HOUR
    made = responder.respond(asked, issuer=ISSUER, now=later)
    other = Responder(world.another_process())
    other.respond(question(world, 4, nonce=b"x"), issuer=ISSUER, now=later)
    world.token.broken = TokenUnavailable("Gone")
    assert other.respond(asked, issuer=ISSUER, now=later + HOUR) == made
    stranger = Responder(world.another_process())
    assert stranger.respond(question(world, 9), issuer=ISSUER, now=later) == TRY_LATER


def test_stored_answers_are_renewed_and_dropped(world: StatusWorld) -> None:
    """Pre-signed answers are renewed in the second half of their life; a status change removes
    them in its own transaction."""
    responder = Responder(world.authority)
    serials = [world.issue().serial_number for _ in range(3)]
    assert responder.presign(ISSUER, serials, now=world.now) == 3
    assert responder.refresh(now=world.now + HOUR) == 0
    assert responder.refresh(now=world.now + 3 * HOUR) == 3
    world.change(serials[0], now=world.now + 3 * HOUR)
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(OcspAnswerRow)) == 2
        newest = session.scalars(select(OcspAnswerRow.this_update)).all()
    assert set(newest) == {world.now + 3 * HOUR}


def test_overtaken_answer_is_not_stored(world: StatusWorld) -> None:
    """An answer signed just before a revocation commits never reaches the store after it."""
    certificate = world.issue()
    slow = Responder(world.another_process())
    slow.respond(question(world, certificate.serial_number), issuer=ISSUER, now=world.now)
    world.change(certificate.serial_number)
    # The other process has not looked since, and still says good for the rest of this second.
    assert slow.presign(ISSUER, [certificate.serial_number], now=world.now) == 0


def test_answer_for_a_dss_is_of_now(world: StatusWorld, responder: Responder) -> None:
    """The answer put into a signature knows every change that is committed."""
    certificate = world.issue()
    first = responder.answer(certificate, now=world.now)
    assert responder.answer(certificate, now=world.now) == first
    second = ocsp.load_der_ocsp_response(
        responder.answer(certificate, now=world.now + timedelta(seconds=2))
    )
    assert second.this_update_utc == world.now + timedelta(seconds=2)
    elsewhere = world.another_process()
    world.change(certificate.serial_number, publish=False)
    crl.publish(elsewhere, ISSUER, now=world.now, by=BY)
    answer = ocsp.load_der_ocsp_response(responder.answer(certificate, now=world.now))
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    from tests.ca.status_world import certificate as make

    stranger = make("TEST X", key("x").public_key(), None, key("x"), world.now)
    with pytest.raises(CaError) as caught:
        responder.answer(stranger, now=world.now)
    assert caught.value.code == "certificate-foreign"


def test_expired_responder_says_so_instead_of_signing(
    world: StatusWorld, responder: Responder
) -> None:
    """A delegated responder outside its certificate's validity convinces nobody."""
    reply = responder.reply(question(world, 4), issuer=ISSUER, now=world.now + timedelta(days=3000))
    assert reply.der == b"\x30\x03\x0a\x01\x02"
    assert reply.etag is None
    assert reply.max_age(world.now) == 0


def test_get_requests(world: StatusWorld, responder: Responder) -> None:
    """RFC 6960 appendix A.1: "url-encoding of base-64 encoding of the DER encoding"; clients
    differ in what they escape and whether they pad."""
    certificate = world.issue()
    asked = question(world, certificate.serial_number)
    posted = responder.respond(asked, issuer=ISSUER, now=world.now)
    plain = base64.b64encode(asked).decode()
    for path in (plain, quote(plain, safe=""), "/" + plain, plain.rstrip("="),
                 plain.replace("+", " ")):  # fmt: skip
        assert responder.reply_get(path, issuer=ISSUER, now=world.now).der == posted
    for path in ("", "*", "é", "A" * 100_000, "%00"):
        assert responder.reply_get(path, issuer=ISSUER, now=world.now).der == MALFORMED


@pytest.mark.parametrize("ocsp_key", ["ocsp-ec", "ocsp", "ocsp-p384"])
@pytest.mark.parametrize("by_name", [False, True])
def test_peers_accept_the_answers(
    database: Database, now: datetime, tmp_path: Path, ocsp_key: str, by_name: bool
) -> None:
    """Judges: `openssl ocsp`, GnuTLS `ocsptool`, pkilint."""
    world = StatusWorld(database, now, ocsp_key=ocsp_key)
    responder = Responder(world.authority, OcspPolicy(by_name=by_name))
    files = world.pem(tmp_path)
    good, bad = world.issue(), world.issue()
    world.change(bad.serial_number, Reason.superseded)
    for certificate, word in ((good, ": good"), (bad, ": revoked")):
        leaf, asked, reply = (tmp_path / name for name in ("leaf.pem", "req.der", "resp.der"))
        leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
        made = run("openssl", "ocsp", "-issuer", files["issuer"], "-cert", str(leaf),
                   "-reqout", str(asked), "-no_nonce")  # fmt: skip
        assert made.returncode == 0, made.stderr
        reply.write_bytes(responder.respond(asked.read_bytes(), issuer=ISSUER, now=world.now))
        assert status_lint.lint_ocsp(reply.read_bytes()) == []
        judged = run("openssl", "ocsp", "-issuer", files["issuer"], "-cert", str(leaf),
                     "-respin", str(reply), "-CAfile", files["chain"], "-no_nonce",
                     "-attime", str(int(now.timestamp())),
                     "-validity_period", "999999999")  # fmt: skip
        assert "Response verify OK" in judged.stderr, judged.stderr
        assert word in judged.stdout
        gnutls = run("ocsptool", "--verify-response", "--infile", str(reply),
                     "--load-signer", files["ocsp"])  # fmt: skip
        assert "Verifying OCSP Response: Success" in gnutls.stdout, gnutls.stdout + gnutls.stderr


def test_openssl_nonce_round_trip(world: StatusWorld, responder: Responder, tmp_path: Path) -> None:
    """`openssl ocsp` compares the nonce it sent with the one that came back."""
    files = world.pem(tmp_path)
    certificate = world.issue()
    leaf, asked, reply = (tmp_path / name for name in ("leaf.pem", "req.der", "resp.der"))
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    run("openssl", "ocsp", "-issuer", files["issuer"], "-cert", str(leaf), "-reqout", str(asked),
        "-nonce")  # fmt: skip
    reply.write_bytes(responder.respond(asked.read_bytes(), issuer=ISSUER, now=world.now))
    # -no_nonce: do not replace the nonce of the request that was read.
    judged = run("openssl", "ocsp", "-reqin", str(asked), "-no_nonce",
                 "-respin", str(reply), "-CAfile", files["chain"],
                 "-attime", str(int(world.now.timestamp())),
                 "-validity_period", "999999999")  # fmt: skip
    assert "Response verify OK" in judged.stderr
    assert "WARNING: no nonce" not in judged.stderr


@settings(max_examples=60, deadline=None)
@given(
    serial=st.integers(1, 2**159 - 1),
    nonce=st.none() | st.binary(min_size=1, max_size=128),
    seconds=st.integers(0, 2_000_000_000),
    reason=st.sampled_from([None, *[r for r in Reason if r is not Reason.remove_from_crl]]),
)
def test_template_equals_cryptographys_builder(
    serial: int, nonce: bytes | None, seconds: int, reason: x509.ReasonFlags | None
) -> None:
    """Differential: byte for byte the ResponseData `cryptography` builds, but for archiveCutoff,
    which it cannot write."""
    from datetime import UTC

    from ca.status import crl_encoding
    from tests.ca.status_world import certificate

    moment = datetime.fromtimestamp(seconds, UTC)
    begin = datetime(2026, 3, 3, tzinfo=UTC)
    issuer = certificate("I", key("issuer").public_key(), None, key("issuer"), begin, ca=True)
    responder = certificate("R", key("ocsp-ec").public_key(), issuer, key("issuer"), begin)
    holder = certificate(
        "H", key("holder-ec").public_key(), issuer, key("issuer"), begin, serial=serial
    )
    template = AnswerTemplate.of(responder, b"", by_name=False, issuer_since=begin)
    status = ocsp_encoding.GOOD
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=holder,
        issuer=issuer,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.REVOKED if reason else ocsp.OCSPCertStatus.GOOD,
        this_update=moment,
        next_update=moment + HOUR,
        revocation_time=moment if reason else None,
        revocation_reason=reason if reason is not Reason.unspecified else None,
    )
    if reason is not None:
        entry = crl_encoding.entry(serial, revoked_at=moment, reason=reason)
        status = ocsp_encoding.revoked(*crl_encoding.read_entry(entry))
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    theirs = builder.sign(key("ocsp-ec"), hashes.SHA256())
    # `cryptography` takes producedAt from its own clock.
    ours = AnswerTemplate(template.responder_id, b"", b"", archive_cutoff=b"").tbs(
        [Single(IssuerNames(issuer).cert_id(serial).encoded, status)],
        produced_at=theirs.produced_at_utc,
        next_update=moment + HOUR,
        nonce=nonce,
    )
    produced = der.generalized_time(theirs.produced_at_utc)
    head, tail = ours.split(produced, 1)
    ours = head + produced + tail.replace(produced, der.generalized_time(moment), 1)
    assert ours == theirs.tbs_response_bytes


@pytest.fixture(scope="module")
def module_world(
    sqlite_template: object, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StatusWorld, Responder]:
    import shutil
    from datetime import UTC

    path = tmp_path_factory.mktemp("ocsp") / "dauso.sqlite"
    shutil.copyfile(sqlite_template(), path)  # type: ignore[operator]  # a function
    world = StatusWorld(Database(f"sqlite:///{path}"), datetime(2026, 3, 3, tzinfo=UTC))
    return world, Responder(world.authority)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_hostile_requests_get_an_answer_of_the_protocol(
    module_world: tuple[StatusWorld, Responder], data: st.DataObject
) -> None:
    """RFC 6960 §2.3: truncated, huge, wrong tags: an error answer, never an exception."""
    world, responder = module_world
    valid = question(world, 2**100, nonce=bytes(16))
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "random", "huge"]))
    if kind == "cut":
        asked = valid[: data.draw(st.integers(0, len(valid) - 1))]
    elif kind == "flip":
        at = data.draw(st.integers(0, len(valid) - 1))
        asked = valid[:at] + bytes([data.draw(st.integers(0, 255))]) + valid[at + 1 :]
    elif kind == "insert":
        at = data.draw(st.integers(0, len(valid)))
        asked = valid[:at] + data.draw(st.binary(max_size=40)) + valid[at:]
    elif kind == "random":
        asked = data.draw(st.binary(max_size=300))
    else:
        asked = b"\x30\x84\x00\x0f\xff\xff" + bytes(data.draw(st.integers(0, 100_000)))
    reply = responder.respond(asked, issuer=ISSUER, now=world.now)
    status = asn1_ocsp.OCSPResponse.load(reply)["response_status"].native
    assert status in {"successful", "malformed_request", "unauthorized"}
    if kind == "cut":
        assert reply == MALFORMED


def test_requests_are_bounded(world: StatusWorld, responder: Responder) -> None:
    """Work stays within what a request may hold, whoever sends it."""
    assert responder.respond(several(world, [4] * 64), issuer=ISSUER, now=world.now) != MALFORMED
    assert responder.respond(several(world, [4] * 65), issuer=ISSUER, now=world.now) == MALFORMED
    huge = several(world, [2**100_000])
    assert len(huge) > 12_000
    reply = responder.respond(huge, issuer=ISSUER, now=world.now)
    assert asn1_ocsp.OCSPResponse.load(reply)["response_status"].native == "successful"
    deep = b"\x30\x80" * 5000
    assert responder.respond(deep, issuer=ISSUER, now=world.now) == MALFORMED


def test_cryptographys_own_requests_are_read(world: StatusWorld) -> None:
    """Vectors: what `cryptography` writes and reads, we read alike."""
    for serial in (1, 127, 128, 2**64, 2**159 - 1):
        for algorithm in (hashes.SHA1(), hashes.SHA256(), hashes.SHA512()):
            asked = question(world, serial, nonce=b"n" * 20, algorithm=algorithm)
            read = ocsp_request.read_request(asked)
            theirs = ocsp.load_der_ocsp_request(asked)
            assert [one.serial for one in read.certificates] == [theirs.serial_number]
            assert read.certificates[0].key_hash == theirs.issuer_key_hash
            assert read.nonce == b"n" * 20


def test_decode_get_refuses_nonsense() -> None:
    """A path that is not base64 is a malformed request, told apart before any decoding of DER."""
    with pytest.raises(MalformedDer):
        decode_get("not base64!")
    assert decode_get("") == b""
    assert decode_get("/MAD/") == b"\x30\x00\xff"  # a slash at the end belongs to the base64


def test_lint_gate_stops_a_bad_shape(world: StatusWorld) -> None:
    """The shape is judged with a throw-away key before the responder's key signs anything."""
    broken = AnswerTemplate.of(world.ocsp, b"", by_name=False, issuer_since=world.now)
    tbs = broken.tbs([], produced_at=world.now, next_update=world.now - HOUR)
    with pytest.raises(status_lint.ShapeRefused):
        status_lint.refuse_ocsp_shape(broken.signed(tbs, b"x"), "broken")
    with world.database.transaction() as session:
        session.execute(delete(OcspAnswerRow))
