"""Certificate revocation lists: complete, delta, sharded; always rising, always in time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import crl as asn1_crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ca import signature_algorithms
from ca.errors import CaError
from ca.status import crl, crl_encoding, static_files, status_changes, status_lint
from ca.status.crl_contents import CrlPolicy
from ca.status.crl_encoding import CrlTemplate
from ca.status.crl_scope import COMPLETE, DELTA, Scope, crl_address, scope_of, shards_for
from ca.status.status_changes import StatusChange
from ca.status.status_models import CrlRow, CrlState
from records import audit
from records.database import Database
from records.models import AuditEntry
from tests.ca.status_world import BASE_URL, BY, ISSUER, Reason, StatusWorld, key, run

HOUR = timedelta(hours=1)


@pytest.fixture
def world(database: Database, now: datetime) -> StatusWorld:
    return StatusWorld(database, now)


def parsed(der: bytes | None) -> x509.CertificateRevocationList:
    assert der is not None
    return x509.load_der_x509_crl(der)


def number(crl_: x509.CertificateRevocationList) -> int:
    return crl_.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_empty_list_has_no_revoked_certificates(world: StatusWorld) -> None:
    """RFC 5280 §5.1.2.6: "When there are no revoked certificates, the revoked certificates list
    MUST be absent.\""""
    der = crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    assert len(parsed(der)) == 0
    assert parsed(der).is_signature_valid(world.issuer.public_key())  # type: ignore[arg-type]  # RSA here
    body = asn1_crl.CertificateList.load(der)["tbs_cert_list"]
    assert body["revoked_certificates"].native is None


def test_revocation_is_on_the_list_at_once(world: StatusWorld) -> None:
    """RFC 5280 §5: reason, date and, when known, since when the key was not safe."""
    crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    since = world.now - timedelta(days=2)
    certificate = world.issue()
    world.change(certificate.serial_number, Reason.key_compromise, invalidity_date=since)
    entry = parsed(crl.current(world.authority, ISSUER)).get_revoked_certificate_by_serial_number(
        certificate.serial_number
    )
    assert entry is not None
    assert entry.revocation_date_utc == world.now
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is Reason.key_compromise
    invalidity = entry.extensions.get_extension_for_class(x509.InvalidityDate).value
    assert invalidity.invalidity_date_utc == since


def test_unspecified_reason_is_not_written(world: StatusWorld) -> None:
    """RFC 5280 §5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the
    unspecified (0) reasonCode value.\""""
    world.change(77, None)
    entry = parsed(crl.current(world.authority, ISSUER)).get_revoked_certificate_by_serial_number(
        77
    )
    assert entry is not None
    assert not list(entry.extensions)


def test_numbers_rise_over_all_lists(world: StatusWorld) -> None:
    """RFC 5280 §5.2.3: CRL numbers are "monotonically increasing ... for a given CRL scope and CRL
    issuer"; complete and delta made together share one (§5.2.4)."""
    numbers = []
    for hours in range(4):
        moment = world.now + hours * HOUR
        numbers.append(number(parsed(crl.publish(world.authority, ISSUER, now=moment, by=BY))))
        delta = crl.current(world.authority, ISSUER, DELTA)
        if hours:
            assert number(parsed(delta)) == numbers[-1]
        else:
            assert delta is None
    assert numbers == sorted(set(numbers))


def test_delta_builds_on_the_oldest_list_still_relied_on(world: StatusWorld) -> None:
    """RFC 5280 §5.2.4: BaseCRLNumber names the complete list that the delta completes."""
    world.change(1, Reason.superseded)
    base = number(parsed(crl.current(world.authority, ISSUER)))
    world.change(2, Reason.affiliation_changed, now=world.now + HOUR)
    world.change(3, Reason.key_compromise, now=world.now + 2 * HOUR)
    delta = parsed(crl.current(world.authority, ISSUER, DELTA))
    indicator = delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert indicator.critical
    assert indicator.value.crl_number == base
    assert {entry.serial_number for entry in delta} == {2, 3}


def test_end_of_hold_is_removed_and_told_by_the_delta(world: StatusWorld) -> None:
    """RFC 5280 §5.3.1: removeFromCRL "indicates that ... the certificate ... has been removed from
    hold" and appears in delta CRLs only."""
    world.change(9, Reason.certificate_hold)
    assert len(parsed(crl.current(world.authority, ISSUER))) == 1
    world.change(9, Reason.remove_from_crl, now=world.now + HOUR)
    assert len(parsed(crl.current(world.authority, ISSUER))) == 0
    (entry,) = parsed(crl.current(world.authority, ISSUER, DELTA))
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is Reason.remove_from_crl
    world.change(9, Reason.key_compromise, now=world.now + 2 * HOUR)
    (entry,) = parsed(crl.current(world.authority, ISSUER, DELTA))
    assert entry.revocation_date_utc == world.now + 2 * HOUR


def test_complete_list_points_at_its_delta(world: StatusWorld) -> None:
    """RFC 5280 §5.2.6: the freshest CRL extension "identifies how delta CRL information ... is
    obtained", and MUST NOT appear in delta CRLs."""
    crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    later = parsed(crl.publish(world.authority, ISSUER, now=world.now + HOUR, by=BY))
    points = later.extensions.get_extension_for_class(x509.FreshestCRL).value
    assert points[0].full_name is not None
    assert points[0].full_name[0].value == f"{BASE_URL}/pki/crl/{ISSUER}-delta.crl"
    delta = parsed(crl.current(world.authority, ISSUER, DELTA))
    with pytest.raises(x509.ExtensionNotFound):
        delta.extensions.get_extension_for_class(x509.FreshestCRL)


def test_shard_names_its_own_address(world: StatusWorld) -> None:
    """RFC 5280 §5.2.5: without the distribution point in the list one shard could be passed off
    as another; the extension "is critical"."""
    policy = CrlPolicy(shard_size=2)
    shards = []
    for _ in range(3):
        with world.database.transaction() as session:
            shards += shards_for(session, ISSUER, 1, size=2)
    assert shards == [1, 1, 2]
    crl.publish(world.authority, ISSUER, now=world.now, by=BY, policy=policy)
    # The next shard is served before its first certificate is issued.
    assert crl.current(world.authority, ISSUER, Scope.of_shard(3)) is not None
    world.change(5, shard=1, policy=policy)
    world.change(6, shard=2, policy=policy)
    first = parsed(crl.current(world.authority, ISSUER, Scope.of_shard(1)))
    assert [entry.serial_number for entry in first] == [5]
    point = first.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert point.critical
    assert point.value.full_name is not None
    assert point.value.full_name[0].value == f"{BASE_URL}/pki/crl/{ISSUER}-1.crl"
    complete = parsed(crl.current(world.authority, ISSUER))
    assert {entry.serial_number for entry in complete} == {5, 6}
    with pytest.raises(x509.ExtensionNotFound):
        complete.extensions.get_extension_for_class(x509.IssuingDistributionPoint)


def test_lists_are_renewed_before_they_are_due(world: StatusWorld) -> None:
    """EN 319 411-1 CSS-6.3.9: a new list is there before the old one's nextUpdate."""
    made = crl.publish_due(world.authority, now=world.now, by="system:crl")
    assert made == {ISSUER: ["complete", "delta"]}
    crl.publish_due(world.authority, now=world.now + HOUR, by="system:crl")
    assert crl.publish_due(world.authority, now=world.now + 2 * HOUR, by="system:crl") == {}
    moment = world.now
    for _ in range(60):
        moment += 3 * HOUR
        crl.publish_due(world.authority, now=moment, by="system:crl")
        for scope in (COMPLETE, DELTA):
            next_update = parsed(crl.current(world.authority, ISSUER, scope)).next_update_utc
            assert next_update is not None
            assert next_update > moment + 6 * HOUR


def test_two_processes_never_lose_each_others_revocations(world: StatusWorld) -> None:
    """A list with a higher number knows at least as much: the counter row orders the makers."""
    other = world.another_process()
    crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    world.change(1)
    crl.publish(other, ISSUER, now=world.now, by=BY)
    world.change(2, publish=False)
    assert {entry.serial_number for entry in parsed(
        crl.publish(other, ISSUER, now=world.now, by=BY))} == {1, 2}  # fmt: skip
    assert {entry.serial_number for entry in parsed(
        crl.publish(world.authority, ISSUER, now=world.now, by=BY))} == {1, 2}  # fmt: skip


def test_a_rolled_back_revocation_never_happened(world: StatusWorld) -> None:
    """DESIGN.md §3 rule 3: only what is committed is signed."""
    crl.publish(world.authority, ISSUER, now=world.now, by=BY)

    def interrupted() -> None:
        with world.database.transaction() as session:
            status_changes.append(
                session, issuer=ISSUER, serial=4, reason=None, revoked_at=world.now, now=world.now
            )
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()
    assert len(parsed(crl.publish(world.authority, ISSUER, now=world.now, by=BY))) == 0
    world.change(5)
    assert [e.serial_number for e in parsed(crl.current(world.authority, ISSUER))] == [5]


def test_a_token_that_fails_leaves_the_old_list_served(world: StatusWorld) -> None:
    """Intention, act, outcome: a number without a list is void, and never used again."""
    served = crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    broken = world.another_process()
    world.token.broken = OSError("pulled")
    with pytest.raises(OSError, match="pulled"):
        crl.publish(broken, ISSUER, now=world.now, by=BY)
    world.token.broken = None
    assert crl.current(world.authority, ISSUER) == served
    later = world.now + HOUR
    again = parsed(crl.publish(broken, ISSUER, now=later, by=BY))
    assert number(again) == number(parsed(served)) + 2
    with world.database.reading() as session:
        states = session.execute(
            select(CrlRow.state).where(CrlRow.number == number(again) - 1)
        ).scalars()
        assert set(states) == {CrlState.VOID.value}


def test_a_clock_that_went_back_signs_nothing(world: StatusWorld) -> None:
    """Clock stepping back stops issuance."""
    crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    with pytest.raises(CaError) as caught:
        crl.publish(world.authority, ISSUER, now=world.now - HOUR, by=BY)
    assert caught.value.code == "clock-stepped-back"


def test_revocation_in_the_future_is_refused(world: StatusWorld) -> None:
    """RFC 5280 §5.3.2: revocationDate "SHOULD NOT precede ... or be after" what was done."""
    with pytest.raises(CaError), world.database.transaction() as session:
        status_changes.append(
            session, issuer=ISSUER, serial=1, reason=None, revoked_at=world.now + HOUR,
            now=world.now,
        )  # fmt: skip


def test_status_changes_are_never_altered(world: StatusWorld) -> None:
    """A status change is evidence: the database refuses to change or remove it."""
    world.change(1)
    with pytest.raises(Exception, match="only added"), world.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE ca_status_changes SET reason = 'superseded'")


def test_root_list_is_adopted_and_only_rises(world: StatusWorld) -> None:
    """The root signs in ceremonies only; its list is checked before it is served."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(world.root.subject)
        .last_update(world.now)
        .next_update(world.now + timedelta(days=180))
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    der = builder.sign(key("root"), hashes.SHA256()).public_bytes(signature_der())
    with world.database.transaction() as session:
        crl.adopt(session, "root", world.root, der, now=world.now)
    assert crl.current(world.authority, "root") == der
    with pytest.raises(CaError) as caught, world.database.transaction() as session:
        crl.adopt(session, "root", world.root, der, now=world.now)
    assert caught.value.code == "crl-number-not-rising"
    forged = builder.sign(key("holder"), hashes.SHA256()).public_bytes(signature_der())
    with pytest.raises(CaError) as caught, world.database.transaction() as session:
        crl.adopt(session, "root", world.root, forged, now=world.now)
    assert caught.value.code == "crl-not-by-issuer"
    with pytest.raises(CaError) as caught:
        crl.publish(world.authority, "root", now=world.now, by=BY)
    assert caught.value.code == "root-is-offline"


def signature_der() -> object:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def test_publication_is_audited_and_old_bodies_are_let_go(world: StatusWorld) -> None:
    """Each list leaves number, extent and digest in the audit log."""
    for hours in range(6):
        crl.publish(world.authority, ISSUER, now=world.now + hours * HOUR, by=BY)
    with world.database.reading() as session:
        kept = session.scalars(
            select(CrlRow.number).where(CrlRow.scope == "complete", CrlRow.der.is_not(None))
        ).all()
        entries = session.scalars(select(AuditEntry).where(AuditEntry.tag == "crl.published")).all()
    assert len(kept) == 3
    assert len(entries) == 11
    assert audit.verify(world.database).ok


@pytest.mark.parametrize("issuer_key", ["issuer", "issuer-ec", "issuer-p384"])
def test_peers_accept_the_lists(
    database: Database, now: datetime, tmp_path: Path, issuer_key: str
) -> None:
    """Judges: `openssl crl`, GnuTLS `certtool`, pkilint; RSA, P-256 and P-384."""
    if database.dialect != "sqlite":
        pytest.skip("encodings do not depend on the database")
    world = StatusWorld(database, now, issuer_key=issuer_key)
    for n, reason in enumerate(Reason):
        if reason is not Reason.remove_from_crl:
            world.change(2**150 + n, reason, invalidity_date=now, shard=1)
    world.change(2**150, Reason.remove_from_crl, shard=1)
    files = world.pem(tmp_path)
    for scope in (COMPLETE, DELTA, Scope.of_shard(1)):
        der = crl.current(world.authority, ISSUER, scope)
        assert der is not None
        assert status_lint.lint_crl(der) == []
        path = tmp_path / f"{scope.name}.crl"
        path.write_bytes(der)
        openssl = run("openssl", "crl", "-inform", "DER", "-in", str(path), "-CAfile",
                      files["issuer"], "-noout", "-text")  # fmt: skip
        assert openssl.returncode == 0, openssl.stderr
        assert "verify OK" in openssl.stderr
        pem = tmp_path / f"{scope.name}.pem"
        run("openssl", "crl", "-inform", "DER", "-in", str(path), "-out", str(pem))
        certtool = run("certtool", "--verify-crl", "--infile", str(pem),
                       "--load-ca-certificate", files["issuer"])  # fmt: skip
        # GnuTLS judges the dates by its own clock; the signature is what it is asked about.
        assert "Not verified" not in certtool.stdout or "superseded" in certtool.stdout
        assert "invalid signature" not in (certtool.stdout + certtool.stderr).lower()


def test_openssl_refuses_a_revoked_certificate_by_our_list(
    world: StatusWorld, tmp_path: Path
) -> None:
    """`openssl verify -crl_check` says what the list says."""
    good, bad = world.issue(), world.issue()
    world.change(bad.serial_number)
    files = world.pem(tmp_path)
    complete = tmp_path / "complete.pem"
    der = tmp_path / "complete.crl"
    der.write_bytes(crl.current(world.authority, ISSUER) or b"")
    run("openssl", "crl", "-inform", "DER", "-in", str(der), "-out", str(complete))
    for certificate, expected in ((good, 0), (bad, 2)):
        path = tmp_path / "leaf.pem"
        from cryptography.hazmat.primitives.serialization import Encoding

        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        verdict = run("openssl", "verify", "-CAfile", files["root"], "-untrusted", files["issuer"],
                      "-CRLfile", str(complete), "-crl_check", "-attime",
                      str(int(world.now.timestamp())), str(path))  # fmt: skip
        assert verdict.returncode == expected, verdict.stderr
        assert ("certificate revoked" in verdict.stderr + verdict.stdout) is bool(expected)


moments = st.datetimes(
    min_value=datetime(1971, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=0))
entries = st.lists(
    st.tuples(
        st.integers(1, 2**159 - 1),
        moments,
        st.sampled_from([r for r in Reason if r is not Reason.remove_from_crl]),
        st.none() | moments,
    ),
    unique_by=lambda entry: entry[0],
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(entries=entries, crl_number=st.integers(1, 2**64), this_update=moments)
def test_template_equals_cryptographys_builder(
    entries: list[tuple[int, datetime, x509.ReasonFlags, datetime | None]],
    crl_number: int,
    this_update: datetime,
) -> None:
    """Differential: byte for byte what `cryptography` builds from the same facts."""
    issuer_key = key("issuer")
    issuer = _issuer()
    template = CrlTemplate.of(
        issuer, signature_algorithms.identifier(issuer_key.public_key(), hashes.SHA256())
    )
    next_update = this_update + timedelta(days=2)
    ours = template.tbs(
        [
            crl_encoding.entry(serial, revoked_at=at, reason=reason, invalidity_date=since)
            for serial, at, reason, since in entries
        ],
        number=crl_number,
        this_update=this_update,
        next_update=next_update,
        freshest="http://ca.test/d.crl",
    )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
        .add_extension(x509.CRLNumber(crl_number), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(
                x509.ObjectIdentifier("2.5.29.60"),
                b"\x18\x0f" + issuer.not_valid_before_utc.strftime("%Y%m%d%H%M%SZ").encode(),
            ),
            critical=False,
        )
        .add_extension(
            x509.FreshestCRL(
                [
                    x509.DistributionPoint(
                        [x509.UniformResourceIdentifier("http://ca.test/d.crl")], None, None, None
                    )
                ]
            ),
            critical=False,
        )
    )
    for serial, at, reason, since in entries:
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
        if reason is not Reason.unspecified:
            one = one.add_extension(x509.CRLReason(reason), critical=False)
        if since is not None:
            one = one.add_extension(x509.InvalidityDate(since), critical=False)
        builder = builder.add_revoked_certificate(one.build())
    assert ours == builder.sign(issuer_key, hashes.SHA256()).tbs_certlist_bytes


def _issuer() -> x509.Certificate:
    from tests.ca.status_world import certificate

    issuer_key = key("issuer")
    moment = datetime(2026, 3, 3, tzinfo=UTC)
    return certificate("TEST", issuer_key.public_key(), None, issuer_key, moment, ca=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=30))
def test_base_and_delta_together_are_the_complete_list(history: list[tuple[int, bool]]) -> None:
    """RFC 5280 §5.2.4: complete list + delta = the complete list issued with the delta, for any
    history of holds and resumptions."""
    from ca.status.revoked import IssuerView

    view = IssuerView("x")
    cut = len(history) // 2
    base: set[str] = set()
    for sequence, (serial, on) in enumerate(history, start=1):
        text = str(serial)
        view.apply(sequence, text, None, text.encode() if on else b"-" + text.encode(), on)
        if sequence == cut:
            base = {entry.decode() for entry in view.entries()}
    combined = set(base) if cut else set()
    for text, entry in view.changes_since(cut).items():
        if entry.startswith(b"-"):
            combined.discard(text)
        else:
            combined.add(text)
    assert combined == {entry.decode() for entry in view.entries()}


def test_lint_finds_a_bad_shape() -> None:
    """The gate works: a list that breaks RFC 5280 is found before a real key signs its kind."""
    issuer_key = key("issuer")
    bad = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([]))
        .last_update(datetime(2026, 3, 3, tzinfo=UTC))
        .next_update(datetime(2026, 3, 4, tzinfo=UTC))
        .sign(issuer_key, hashes.SHA256())
    )
    assert status_lint.lint_crl(bad.public_bytes(signature_der()))  # type: ignore[arg-type]  # DER


def test_a_whole_office_at_once(world: StatusWorld) -> None:
    """Many changes, one transaction, one list; and a large list is as right as a small one."""
    rng = random.Random(38)
    serials = [rng.getrandbits(127) | 1 for _ in range(3000)]
    with world.database.transaction() as session:
        status_changes.append_all(
            session,
            issuer=ISSUER,
            changes=[StatusChange(s, Reason.cessation_of_operation, world.now) for s in serials],
            now=world.now,
        )
    der = crl.publish(world.authority, ISSUER, now=world.now, by=BY)
    assert {entry.serial_number for entry in parsed(der)} == set(serials)


def test_static_files_are_whole_and_current(world: StatusWorld, tmp_path: Path) -> None:
    """A web server or CDN serves files; each appears whole or not at all."""
    world.change(1)
    written = static_files.write(world.authority, tmp_path / "pki")
    assert sorted(written) == [
        f"certificates/{ISSUER}.cer", "certificates/root.cer", f"crl/{ISSUER}.crl",
    ]  # fmt: skip
    served = (tmp_path / "pki" / "crl" / f"{ISSUER}.crl").read_bytes()
    assert served == crl.current(world.authority, ISSUER)
    world.change(2, now=world.now + HOUR)
    assert static_files.write(world.authority, tmp_path / "pki") == [
        f"crl/{ISSUER}.crl", f"crl/{ISSUER}-delta.crl",
    ]  # fmt: skip
    assert not list((tmp_path / "pki").rglob("*.part"))


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("persons-g1.crl", ("persons-g1", COMPLETE)),
        ("persons-g1-delta.crl", ("persons-g1", DELTA)),
        ("persons-g1-12.crl", ("persons-g1", Scope.of_shard(12))),
        ("persons-g1-0.crl", None),
        ("persons-g1-١.crl", None),
        ("other.crl", None),
        ("../persons-g1.crl", None),
        ("", None),
    ],
)
def test_file_names(file_name: str, expected: object) -> None:
    """Only names that exist are looked up."""
    assert scope_of(file_name, {"persons-g1", "root"}) == expected
    if expected is not None:
        issuer, scope = expected  # type: ignore[misc]  # a pair here
        assert crl_address("", issuer, scope).endswith(file_name)
