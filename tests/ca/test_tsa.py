"""The time-stamp authority: right tokens, and none at all when the time is in doubt."""

from __future__ import annotations

import hashlib
import shutil
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import algos, cms, core, tsp
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from ca.errors import CaError
from ca.profiles import TIMESTAMP_POLICY
from ca.status.status_models import TimeStampRow
from ca.time.clock import ClockDoubtful, ClockWatch, KernelClock
from ca.time.sntp import TimeServer
from ca.time.tsa import TimeStampAuthority, TsaPolicy
from ca.time.tst_encoding import Failure, Imprint, StampRequest, TokenTemplate, rejected
from hsm.errors import TokenUnavailable
from records import audit
from records.database import Database
from records.errors import DatabaseBusy
from records.models import AuditEntry
from tests.ca.status_world import StatusWorld, run

SECOND = timedelta(seconds=1)
DIGEST = hashlib.sha256(b"decision").digest()


@pytest.fixture
def world(database: Database, now: datetime) -> StatusWorld:
    return StatusWorld(database, now)


@pytest.fixture
def tsa(world: StatusWorld) -> TimeStampAuthority:
    return TimeStampAuthority(world.authority)


def request(
    digest: bytes = DIGEST, algorithm: str = "sha256", *, certificates: bool = True, **more: Any
) -> bytes:
    encoded: bytes = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": algorithm},
                "hashed_message": digest,
            },
            "cert_req": certificates,
            **more,
        }
    ).dump()
    return encoded


def info_of(token: cms.ContentInfo) -> Any:
    return token["content"]["encap_content_info"]["content"].parsed


class Response(tsp.TimeStampResp):  # type: ignore[misc]  # asn1crypto ships no types
    """RFC 3161 §2.4.2 makes the token OPTIONAL; asn1crypto does not."""

    _fields = [  # noqa: RUF012 – asn1crypto's own form
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def granted(response: bytes) -> Any:
    parsed = Response.load(response, strict=True)
    assert parsed["status"]["status"].native == "granted"
    return parsed["time_stamp_token"]


def failure(response: bytes) -> set[str]:
    parsed = Response.load(response, strict=True)
    assert parsed["status"]["status"].native == "rejection"
    assert parsed["time_stamp_token"].native is None
    native: set[str] = parsed["status"]["fail_info"].native
    return native


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_token_says_what_was_asked(
    world: StatusWorld, tsa: TimeStampAuthority, algorithm: str
) -> None:
    """RFC 3161 §2.4.2: imprint, policy, time, accuracy, the same nonce; ordering is not claimed."""
    digest = hashlib.new(algorithm, b"decision").digest()
    moment = world.now + timedelta(milliseconds=120)
    info = info_of(granted(tsa.respond(request(digest, algorithm, nonce=2**70), now=moment)))
    assert info["version"].native == "v1"
    assert info["policy"].native == TIMESTAMP_POLICY
    assert info["message_imprint"]["hashed_message"].native == digest
    assert info["message_imprint"]["hash_algorithm"]["algorithm"].native == algorithm
    assert info["gen_time"].native == moment
    assert info["accuracy"]["seconds"].native == 1
    assert info["nonce"].native == 2**70
    assert info["ordering"].native is False
    assert 2**60 < info["serial_number"].native < 2**127


def test_signing_certificate_is_named_in_the_signature(
    world: StatusWorld, tsa: TimeStampAuthority
) -> None:
    """RFC 5816 §2.2.1: ESSCertIDv2 of the TSA's certificate; RFC 6211: algorithm protection."""
    token = granted(tsa.respond(request(), now=world.now))
    (signer,) = token["content"]["signer_infos"]
    attributes = {each["type"].native: each["values"][0] for each in signer["signed_attrs"]}
    (cert_id,) = attributes["signing_certificate_v2"]["certs"]
    encoded = world.tsa.public_bytes(Encoding.DER)
    assert cert_id["cert_hash"].native == hashlib.sha256(encoded).digest()
    assert cert_id["issuer_serial"]["serial_number"].native == world.tsa.serial_number
    assert attributes["content_type"].native == "tst_info"
    assert set(attributes) == {
        "content_type", "message_digest", "signing_certificate_v2", "cms_algorithm_protection",
    }  # fmt: skip
    # X.690 §11.6: the elements of a SET OF in ascending order of their encodings.
    encodings = [each.dump() for each in signer["signed_attrs"]]
    assert encodings == sorted(encodings)


def test_certificates_only_when_wanted(world: StatusWorld, tsa: TimeStampAuthority) -> None:
    """RFC 3161 §2.4.1: without certReq "the certificates field ... MUST NOT be present"."""
    with_them = granted(tsa.respond(request(), now=world.now))["content"]["certificates"]
    assert {each.chosen.dump() for each in with_them} == {
        each.public_bytes(Encoding.DER) for each in (world.tsa, world.issuer)
    }
    without = granted(tsa.respond(request(certificates=False), now=world.now))
    assert isinstance(without["content"]["certificates"], core.Void) or (
        without["content"]["certificates"].native is None
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (request(bytes(20), "sha1"), "bad_alg"),
        (request(bytes(31)), "bad_data_format"),
        (request(req_policy="1.2.3.4"), "unaccepted_policy"),
        (
            request(extensions=[{"extn_id": "1.2.3.4", "extn_value": core.OctetString(b"")}]),
            "unaccepted_extensions",
        ),
        (request(version=2), "bad_request"),
        (b"", "bad_data_format"),
        (request()[:-1], "bad_data_format"),
        (request() + b"\0", "bad_data_format"),
        (b"\x30\x84\x7f\xff\xff\xff", "bad_data_format"),
        (bytes(1_000_000), "bad_data_format"),
    ],
    ids=[
        "sha1",
        "short digest",
        "policy",
        "extension",
        "version",
        "empty",
        "cut",
        "trailing",
        "length beyond the end",
        "megabyte",
    ],
)
def test_refusals(tsa: TimeStampAuthority, now: datetime, made: bytes, expected: str) -> None:
    """RFC 3161 §2.4.2 PKIFailureInfo: each kind of bad request has its bit, and no token."""
    assert failure(tsa.respond(made, now=now)) == {expected}


def test_accepted_policy_may_be_named(world: StatusWorld, tsa: TimeStampAuthority) -> None:
    """RFC 3161 §2.4.1 reqPolicy: "the policy under which the TimeStampToken SHOULD be provided"."""
    granted(tsa.respond(request(req_policy=TIMESTAMP_POLICY), now=world.now))


def test_every_failure_has_its_bit() -> None:
    """X.690 §11.2: a named BIT STRING without trailing zero bits, the right bit set."""
    for each in Failure:
        bits = Response.load(rejected(each, "why"))["status"]["fail_info"]
        assert bits.dump()[-1] != 0
        assert [n for n, bit in enumerate(core.BitString.load(bits.dump()).native) if bit] == [each]


def test_in_process_and_over_the_wire_are_the_same(
    world: StatusWorld, tsa: TimeStampAuthority
) -> None:
    """One function makes both: same contents, same log, different serials."""
    wire = granted(tsa.respond(request(), now=world.now))
    local = cms.ContentInfo.load(tsa.stamp(DIGEST, now=world.now), strict=True)
    theirs, ours = info_of(wire), info_of(local)
    assert theirs["serial_number"].native != ours["serial_number"].native
    for each in ("policy", "gen_time", "accuracy"):
        assert theirs[each].native == ours[each].native
    tsa.flush(now=world.now)
    with world.database.reading() as session:
        rows = session.scalars(select(TimeStampRow)).all()
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.tag == "time-stamps.issued")
        ).all()
    assert {int(row.serial, 16) for row in rows} == {
        each["serial_number"].native for each in (theirs, ours)
    }
    assert {row.imprint for row in rows} == {DIGEST}
    assert len(entries) == 2
    assert audit.verify(world.database).ok


def test_in_process_mistakes_are_plain(world: StatusWorld, tsa: TimeStampAuthority) -> None:
    """Our own signers get an error that says what is wrong."""
    with pytest.raises(CaError) as caught:
        tsa.stamp(DIGEST, "sha1", now=world.now)
    assert caught.value.code == "digest-unsupported"
    with pytest.raises(CaError) as caught:
        tsa.stamp(DIGEST, "sha512", now=world.now)
    assert caught.value.code == "digest-length-wrong"
    with pytest.raises(CaError) as caught:
        tsa.stamp(DIGEST, now=world.now + timedelta(days=4000))
    assert caught.value.code == "time-stamp-certificate-expired"


def test_log_is_written_in_groups(world: StatusWorld) -> None:
    """One audit entry per group; nothing waits longer than the interval or beyond the end."""
    tsa = TimeStampAuthority(world.authority, TsaPolicy(log_rows=10))

    def written() -> int:
        with world.database.reading() as session:
            return session.scalar(select(func.count()).select_from(TimeStampRow)) or 0

    tsa.stamp(DIGEST, now=world.now)
    assert written() == 1
    for _ in range(9):
        tsa.stamp(DIGEST, now=world.now)
    assert written() == 1
    tsa.stamp(DIGEST, now=world.now)
    assert written() == 11
    tsa.stamp(DIGEST, now=world.now + SECOND)
    assert written() == 12
    tsa.stamp(DIGEST, now=world.now + SECOND)
    assert tsa.flush(now=world.now + SECOND) == 1
    assert written() == 13


def test_the_log_may_be_written_aside(world: StatusWorld) -> None:
    """Nobody's stamp waits for the disk; `flush` waits for what is being written."""
    policy = TsaPolicy(log_rows=10, log_aside=True)
    tsa = TimeStampAuthority(world.authority, policy)
    for _ in range(25):
        tsa.stamp(bytes(32), now=world.now)
    tsa.flush(now=world.now)
    with world.database.reading() as session:
        assert len(session.scalars(select(TimeStampRow.serial)).all()) == 25


def test_a_log_that_cannot_be_written_stops_stamping_in_the_end(
    world: StatusWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EN 319 421 §7.12: what was issued must be on record; a busy database is bridged, a dead one
    is not."""
    tsa = TimeStampAuthority(world.authority, TsaPolicy(log_rows=2))
    tsa._log.limit = 5
    tsa.stamp(DIGEST, now=world.now)

    def busy(*_: object) -> None:
        raise DatabaseBusy("database-busy")

    with monkeypatch.context() as patched:
        patched.setattr(world.database, "transaction", busy)
        for _ in range(5):
            tsa.stamp(DIGEST, now=world.now)
        assert failure(tsa.respond(request(), now=world.now)) == {"system_failure"}
    assert tsa.flush(now=world.now) == 5
    granted(tsa.respond(request(), now=world.now))


def test_serials_are_unique_across_threads_and_processes(world: StatusWorld) -> None:
    """RFC 3161 §2.4.2: serialNumber "MUST be unique for each TimeStampToken issued by a given TSA
    ... even after a possible interruption": 126 random bits, and a primary key that checks."""
    units = [TimeStampAuthority(world.another_process()) for _ in range(2)]
    tokens: list[bytes] = []

    def stamp(unit: TimeStampAuthority) -> None:
        for _ in range(50):
            tokens.append(unit.stamp(DIGEST, now=world.now))

    threads = [threading.Thread(target=stamp, args=(unit,)) for unit in units * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    serials = {info_of(cms.ContentInfo.load(token))["serial_number"].native for token in tokens}
    assert len(serials) == 200
    for unit in units:
        unit.flush(now=world.now)
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(TimeStampRow)) == 200


def test_a_token_that_fails_is_a_system_failure(world: StatusWorld) -> None:
    """RFC 3161 §2.4.2 systemFailure: "the request cannot be handled due to system failure"."""
    world.token.broken = TokenUnavailable("Gone")
    tsa = TimeStampAuthority(world.another_process())
    assert failure(tsa.respond(request(), now=world.now)) == {"system_failure"}


@pytest.mark.parametrize("tsa_key", ["tsa-ec", "tsa", "tsa-p384"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_openssl_verifies(
    database: Database, now: datetime, tmp_path: Path, tsa_key: str, algorithm: str
) -> None:
    """Judge: `openssl ts` makes the request, verifies the answer and its bare token; GnuTLS reads
    the CMS signature."""
    world = StatusWorld(database, now, tsa_key=tsa_key)
    tsa = TimeStampAuthority(world.authority)
    files = world.pem(tmp_path)
    document, asked, reply = (tmp_path / name for name in ("doc", "req.tsq", "resp.tsr"))
    document.write_bytes(b"decision")
    run("openssl", "ts", "-query", "-data", str(document), f"-{algorithm}", "-cert",
        "-out", str(asked))  # fmt: skip
    moment = now + timedelta(milliseconds=340)
    reply.write_bytes(tsa.respond(asked.read_bytes(), now=moment))
    at = ("-attime", str(int(now.timestamp())))
    verdict = run("openssl", "ts", "-verify", "-queryfile", str(asked), "-in", str(reply),
                  "-CAfile", files["root"], "-untrusted", files["issuer"], *at)  # fmt: skip
    assert "Verification: OK" in verdict.stdout, verdict.stderr
    other = run("openssl", "ts", "-verify", "-data", files["root"], "-in", str(reply),
                "-CAfile", files["root"], "-untrusted", files["issuer"], *at)  # fmt: skip
    assert "Verification: FAILED" in other.stdout + other.stderr
    token = tmp_path / "token.der"
    token.write_bytes(tsa.stamp(hashlib.new(algorithm, b"decision").digest(), algorithm, now=now))
    verdict = run("openssl", "ts", "-verify", "-data", str(document), "-token_in",
                  "-in", str(token), "-CAfile", files["root"], *at)  # fmt: skip
    assert "Verification: OK" in verdict.stdout, verdict.stderr
    read = run("openssl", "ts", "-reply", "-in", str(reply), "-text")
    assert "Accuracy: 0x01 seconds" in read.stdout
    assert "Ordering: no" in read.stdout
    assert "02:00:00.34 2026 GMT" in read.stdout


def test_pyhanko_accepts_the_token(world: StatusWorld, tsa: TimeStampAuthority) -> None:
    """Judge: pyHanko's own time-stamp validation, as it runs in every PAdES verdict."""
    import asyncio

    from asn1crypto import x509 as asn1_x509
    from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
    from pyhanko_certvalidator import ValidationContext

    token = cms.ContentInfo.load(tsa.stamp(DIGEST, now=world.now))
    root = asn1_x509.Certificate.load(world.root.public_bytes(Encoding.DER))
    context = ValidationContext(trust_roots=[root], moment=world.now, allow_fetching=False)
    status = asyncio.run(validate_tst_signed_data(token["content"], context, lambda _: DIGEST))
    assert status["valid"]
    assert status["intact"]
    assert status["timestamp"] == world.now


@settings(max_examples=80, deadline=None)
@given(
    serial=st.integers(1, 2**127),
    nonce=st.none() | st.integers(-(2**64), 2**64),
    moment=st.datetimes(
        min_value=datetime(1971, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)
    ),
    accuracy=st.integers(1, 5_000_000),
    digest=st.binary(min_size=32, max_size=32),
)
def test_template_equals_asn1crypto(
    serial: int, nonce: int | None, moment: datetime, accuracy: int, digest: bytes
) -> None:
    """Differential: byte for byte the TSTInfo asn1crypto writes from the same facts."""
    template = _template(timedelta(microseconds=accuracy))
    algorithm = algos.DigestAlgorithm({"algorithm": "sha256"})
    imprint = Imprint("sha256", digest, algorithm.dump())
    ours = template.tst_info(imprint, serial=serial, gen_time=moment, nonce=nonce)
    seconds, rest = divmod(accuracy, 1_000_000)
    millis, micros = divmod(rest, 1000)
    parts = {"seconds": seconds, "millis": millis, "micros": micros}
    facts: dict[str, Any] = {
        "version": "v1",
        "policy": TIMESTAMP_POLICY,
        "message_imprint": {
            "hash_algorithm": algorithm,
            "hashed_message": digest,
        },
        "serial_number": serial,
        "gen_time": moment.replace(microsecond=moment.microsecond // 1000 * 1000),
        "accuracy": {name: value for name, value in parts.items() if value},
    }
    if nonce is not None:
        facts["nonce"] = nonce
    assert ours == tsp.TSTInfo(facts).dump()
    assert tsp.TSTInfo.load(ours, strict=True)["serial_number"].native == serial


def _template(accuracy: timedelta) -> TokenTemplate:
    from tests.ca.status_world import certificate, key

    begin = datetime(2026, 3, 3, tzinfo=UTC)
    tsa = certificate("T", key("tsa-ec").public_key(), None, key("tsa-ec"), begin)
    return TokenTemplate.of(tsa, [], policy=TIMESTAMP_POLICY, accuracy=accuracy)


@pytest.fixture(scope="module")
def module_tsa(
    sqlite_template: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[TimeStampAuthority, datetime]:
    path = tmp_path_factory.mktemp("tsa") / "dauso.sqlite"
    shutil.copyfile(sqlite_template(), path)
    moment = datetime(2026, 3, 3, tzinfo=UTC)
    return TimeStampAuthority(StatusWorld(Database(f"sqlite:///{path}"), moment).authority), moment


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_hostile_requests_get_an_answer_of_the_protocol(
    module_tsa: tuple[TimeStampAuthority, datetime], data: st.DataObject
) -> None:
    """RFC 3161 §2.4.2: truncated, huge, wrong tags: a rejection, never an exception."""
    tsa, moment = module_tsa
    valid = request(nonce=2**63, req_policy=TIMESTAMP_POLICY)
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "random"]))
    if kind == "cut":
        asked = valid[: data.draw(st.integers(0, len(valid) - 1))]
    elif kind == "flip":
        at = data.draw(st.integers(0, len(valid) - 1))
        asked = valid[:at] + bytes([data.draw(st.integers(0, 255))]) + valid[at + 1 :]
    elif kind == "insert":
        at = data.draw(st.integers(0, len(valid)))
        asked = valid[:at] + data.draw(st.binary(max_size=40)) + valid[at:]
    else:
        asked = data.draw(st.binary(max_size=200))
    status = Response.load(tsa.respond(asked, now=moment), strict=True)["status"]
    assert status["status"].native in ({"rejection"} if kind == "cut" else {"rejection", "granted"})


class Clocks:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.wall = int(now.timestamp() * 1e9)
        self.boot = 7_000_000_000

    def pass_(self, span: timedelta, *, wall: timedelta | None = None) -> None:
        self.boot += int(span.total_seconds() * 1e9)
        self.wall += int((span if wall is None else wall).total_seconds() * 1e9)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall / 1e9, UTC)

    def watch(self, *references: Any, **more: Any) -> ClockWatch:
        return ClockWatch(
            accuracy=timedelta(seconds=0.5),
            references=references,
            wall=lambda: self.wall,
            monotonic=lambda: self.boot,
            **more,
        )


class Reference:
    name = "gps"

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead: float | None = ahead

    def offset(self) -> timedelta:
        if self.ahead is None:
            raise OSError("silent")
        return timedelta(seconds=self.ahead)


@pytest.mark.parametrize("jump", [-3600.0, -0.6, 0.6, 3600.0])
def test_a_clock_that_jumps_stops_the_stamps(world: StatusWorld, jump: float) -> None:
    """EN 319 421 TIS-7.7.2: on a jump out of the declared accuracy "the TSU shall stop time-stamp
    issuance"; losing and regaining the time are in the audit log, once each."""
    clocks = Clocks(world.now)
    tsa = TimeStampAuthority(world.authority, clock=clocks.watch())
    granted(tsa.respond(request(), now=world.now))
    clocks.pass_(SECOND, wall=SECOND + timedelta(seconds=jump))
    for _ in range(3):
        assert failure(tsa.respond(request(), now=world.now)) == {"time_not_available"}
    with pytest.raises(ClockDoubtful):
        tsa.stamp(DIGEST, now=world.now)
    clocks.pass_(SECOND, wall=SECOND - timedelta(seconds=jump))
    granted(tsa.respond(request(), now=world.now))
    with world.database.reading() as session:
        tags = session.scalars(
            select(AuditEntry.tag)
            .where(AuditEntry.tag.like("clock.%"))
            .order_by(AuditEntry.position)
        ).all()
    assert tags == ["clock.lost", "clock.regained"]


@pytest.mark.parametrize("drift", [-0.4, 0.0, 0.4])
def test_drift_within_the_accuracy_is_lived_with(now: datetime, drift: float) -> None:
    """What the token declares covers it."""
    clocks = Clocks(now)
    watch = clocks.watch()
    watch.check(now)
    clocks.pass_(timedelta(hours=1), wall=timedelta(hours=1, seconds=drift))
    watch.check(now)
    clocks.pass_(timedelta(hours=1), wall=timedelta(hours=1, seconds=2))
    with pytest.raises(ClockDoubtful):  # and no more than that
        watch.check(now)


def test_slow_drift_adds_up(now: datetime) -> None:
    """Many small differences are one large one: they are all measured from the last good moment."""
    clocks = Clocks(now)
    watch = clocks.watch()
    for _ in range(5):
        watch.check(now)
        clocks.pass_(timedelta(minutes=1), wall=timedelta(minutes=1, milliseconds=120))
    with pytest.raises(ClockDoubtful, match="jumped"):
        watch.check(now)


def test_a_reference_overrules_the_clock(now: datetime) -> None:
    """The clocks of one machine may agree and be wrong together; a reference knows."""
    clocks, reference = Clocks(now), Reference()
    watch = clocks.watch(reference)
    watch.check(now)
    reference.ahead = 0.9
    watch.check(now)  # asked again only every 16 s
    clocks.pass_(timedelta(seconds=17))
    with pytest.raises(ClockDoubtful, match="gps"):
        watch.check(now)
    reference.ahead = 0.1
    clocks.pass_(timedelta(seconds=17))
    watch.check(now)


def test_after_a_correction_the_reference_decides(now: datetime) -> None:
    """A clock set right by its administrator jumps; a reference that agrees ends the pause."""
    clocks, reference = Clocks(now), Reference()
    watch = clocks.watch(reference)
    watch.check(now)
    clocks.pass_(SECOND, wall=timedelta(seconds=5))
    with pytest.raises(ClockDoubtful, match="jumped"):
        watch.check(now)
    watch.check(now)  # asks at once, hears that the new time is right, goes on
    clocks.pass_(timedelta(hours=1))
    watch.check(now)


def test_silent_references_are_believed_for_a_while(now: datetime) -> None:
    """A network that is down for minutes stops nobody; one that stays down does."""
    clocks, reference = Clocks(now), Reference()
    watch = clocks.watch(reference)
    watch.check(now)
    reference.ahead = None
    clocks.pass_(timedelta(minutes=5))
    watch.check(now)
    clocks.pass_(timedelta(minutes=6))
    with pytest.raises(ClockDoubtful, match="no time reference"):
        watch.check(now)
    reference.ahead = 0.0
    clocks.pass_(timedelta(minutes=1))
    watch.check(now)


def test_one_lying_reference_of_three_is_outvoted(now: datetime) -> None:
    """The median of three survives one liar."""
    clocks = Clocks(now)
    clocks.watch(Reference(0.01), Reference(900.0), Reference(-0.02)).check(now)
    with pytest.raises(ClockDoubtful):
        clocks.watch(Reference(900.0), Reference(900.0), Reference(0.0)).check(now)


def test_a_time_taken_long_ago_is_not_stamped(now: datetime) -> None:
    """genTime is the time of the stamp, not of a request that waited."""
    clocks = Clocks(now)
    watch = clocks.watch(follows_now=True)
    watch.check(clocks.now)
    early = clocks.now
    clocks.pass_(SECOND)
    with pytest.raises(ClockDoubtful, match="differs"):
        watch.check(early)
    with pytest.raises(ClockDoubtful, match="differs"):
        watch.check(clocks.now + SECOND)


def test_kernel_clock_answers_or_says_it_cannot() -> None:
    """adjtimex(2): an estimate of the error, or OSError when nobody disciplines the clock."""
    try:
        offset = KernelClock().offset()
    except OSError:
        return
    assert offset >= timedelta(0)


class _Server(threading.Thread):
    """An NTP server for one question; `ahead` is how far it says we are."""

    def __init__(self, ahead: float, change: Callable[[bytearray], bytes] = bytes) -> None:
        super().__init__(daemon=True)
        self.line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.line.bind(("127.0.0.1", 0))
        self.port: int = self.line.getsockname()[1]
        self._ahead, self._change = ahead, change

    def run(self) -> None:
        import struct
        import time

        question, peer = self.line.recvfrom(512)
        moment = time.time() - self._ahead + 2_208_988_800
        stamp = struct.pack("!II", int(moment), int(moment % 1 * 2**32))
        answer = bytearray(bytes([0x24, 1]) + bytes(22) + question[40:48] + stamp + stamp)
        self.line.sendto(self._change(answer), peer)
        self.line.close()


@pytest.mark.parametrize("ahead", [-30.0, 0.0, 2.5])
def test_time_server_measures_the_offset(ahead: float) -> None:
    """RFC 4330 §5: offset = ((T2 - T1) + (T3 - T4)) / 2."""
    server = _Server(ahead)
    server.start()
    offset = TimeServer("127.0.0.1", server.port).offset()
    assert abs(offset.total_seconds() - ahead) < 0.25


def _with(position: int, value: int) -> Callable[[bytearray], bytes]:
    def change(answer: bytearray) -> bytes:
        answer[position] = value
        return bytes(answer)

    return change


def _flipped(position: int) -> Callable[[bytearray], bytes]:
    """Another octet than the one that stands there, whatever that was: a cookie is random."""

    def change(answer: bytearray) -> bytes:
        answer[position] ^= 0xFF
        return bytes(answer)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: bytes(answer[:40]),
        _with(0, 0xE4),  # leap indicator 3: alarm
        _with(0, 0x23),  # mode 3: a client's question
        _with(1, 0),  # stratum 0: kiss-o'-death
        _flipped(24),  # not our cookie
    ],
)
def test_time_server_nonsense_is_silence(change: Callable[[bytearray], bytes]) -> None:
    """RFC 4330 §5, the sanity checks: a server that does not know, or answers somebody else."""
    server = _Server(0.0, change)
    server.start()
    with pytest.raises(OSError):
        TimeServer("127.0.0.1", server.port, timeout=0.5).offset()


def test_stamp_request_defaults() -> None:
    """RFC 3161 §2.4.1: certReq DEFAULT FALSE."""
    assert StampRequest(Imprint.of("sha256", DIGEST)).certificates_wanted is False
