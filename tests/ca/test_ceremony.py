"""The key ceremony: what it makes, what it leaves, and who can open the root."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select

from ca.ceremonies import ceremony, root_secret, root_side
from ca.ceremonies.ceremony import CeremonyResult, RootSettings, run_ceremony, verify_log
from ca.ceremonies.ceremony_keys import SoftwareKeys, request
from ca.ceremonies.plan import Plan, parse_plan
from ca.ceremonies.root_secret import Witness
from ca.ceremonies.root_side import RootWork
from ca.checking.checks import check_everything
from ca.errors import CaError
from ca.issuance import issue
from ca.models import CeremonyRow, CertificateRow, IssuerRow
from ca.names import Subject
from ca.profiles import PROFILES
from ca.status import crl
from records import audit
from tests.ca.subjects import MAU
from tests.world import BASE_URL, BY, WITNESSES, World, quick_plan

# What a ceremony writes is the same on both databases, and seen on both in rollover.
QUICK_DATABASE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ORGANIZATION = "ỦY BAN NHÂN DÂN TỈNH THANH HÓA"


def plan_with(**added: list[dict[str, Any]]) -> Plan:
    """The world's plan and more."""
    data = yaml.safe_load(quick_plan().text)
    for word, entries in added.items():
        data[word] = data.get(word, []) + entries
    return parse_plan(yaml.safe_dump(data, allow_unicode=True))


def entry(name: str, **words: Any) -> dict[str, Any]:
    subject = {"common_name": f"TEST {name}", "organization": ORGANIZATION}
    return {"name": name, "subject": subject, "key": "p-256", **words}


def held(world: World, plan: Plan, **change: Any) -> CeremonyResult:
    words: dict[str, Any] = {
        "root_settings": RootSettings(world.root_directory),
        "token": world.token,
        "database": world.database,
        "base_url": BASE_URL,
        "witnesses": WITNESSES,
        "now": world.now,
        "by": "operator:ceremony",
    }
    result = run_ceremony(plan, **{**words, **change})
    world.authority.refresh()
    return result


def test_the_hierarchy_is_complete(world: World) -> None:
    """DESIGN §4: root, issuing CAs, OCSP responders, TSA and the audit key."""
    names = [issuer.name for issuer in world.authority.issuers()]
    assert names == ["root", "persons-g1", "agencies-g1", "services-g1"]
    for issuer in names:
        service = world.authority.service(f"ocsp-{issuer}")
        assert service.issuer == issuer
    for profile in ("tsa", "audit"):
        service = world.authority.service(profile)
        assert [*service.chain][-1] == world.authority.issuer("root").certificate
        assert service.key.public_key() == service.certificate.public_key()
    assert world.authority.issuer_for("agency-seal").name == "agencies-g1"
    for issuer in names:
        assert crl.current(world.authority, issuer) is not None


def test_nothing_in_the_service_can_open_the_root(world: World) -> None:
    """The root token closes afterwards; nothing in the running service can open it."""
    with pytest.raises(CaError) as refused:
        world.authority.key(world.authority.issuer("root"))
    assert refused.value.code == "root-is-offline"
    assert "root" not in {key.label for key in world.token.resident_keys()}
    sealed = world.root_directory / root_secret.SEALED_FILE
    assert sealed.stat().st_mode & 0o077 == 0
    with pytest.raises(CaError) as refused:
        root_secret.open_secret(
            world.root_directory, [WITNESSES[0], Witness(WITNESSES[1].name, "không phải thế này")]
        )
    assert refused.value.code == "witnesses-refused"
    opened = root_secret.open_secret(world.root_directory, list(reversed(WITNESSES)))
    assert opened.pin not in sealed.read_text("utf-8")
    assert opened.pin not in repr(opened)


def test_the_log_is_signed_and_kept(world: World) -> None:
    """The run is logged, the log signed and stored."""
    with world.database.reading() as session:
        row = session.scalars(select(CeremonyRow)).one()
        issued = session.scalars(select(CertificateRow.der)).all()
    verify_log(world.authority, row)
    log = json.loads(row.log)
    assert log["witnesses"] == [witness.name for witness in WITNESSES]
    assert len(log["certificates"]) == len(issued)
    row.log = row.log.replace("operator:test", "operator:evil")
    with pytest.raises(InvalidSignature):
        verify_log(world.authority, row)


@QUICK_DATABASE
@pytest.mark.parametrize(
    ("witnesses", "code"),
    [
        (WITNESSES[:1], "witnesses-other"),
        ((WITNESSES[0], Witness("Phạm Minh Ví Dụ", "mười hai bến nước")), "witnesses-other"),
        ((WITNESSES[0], Witness(WITNESSES[1].name, "ngắn")), "passphrase-short"),
        (
            (WITNESSES[0], replace(WITNESSES[1], passphrase=WITNESSES[0].passphrase)),
            "passphrases-equal",
        ),
        ((WITNESSES[0], Witness(WITNESSES[1].name, "một câu khác hẳn")), "witnesses-refused"),
    ],
)
def test_two_witnesses_or_nothing(world: World, witnesses: tuple[Witness, ...], code: str) -> None:
    """Two witnesses approve, each authenticates."""
    plan = plan_with(issuing=[entry("persons-g9", under="root", years=10, issues=["citizen"])])
    with pytest.raises(CaError) as refused:
        held(world, plan, witnesses=witnesses)
    assert refused.value.code == code
    with world.database.reading() as session:
        assert session.get(IssuerRow, "persons-g9") is None
        assert session.scalar(select(func.count()).select_from(CeremonyRow)) == 1


def test_rollover_serves_both_and_issues_with_the_new(world: World) -> None:
    """A new issuing CA beside the old, both served."""
    old = issue(
        world.authority,
        profile="citizen",
        subject=MAU.citizen(
            "Lê Thử", citizen_id="038900000009", state="Thanh Hóa", locality="Hạc Thành"
        ),
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    plan = plan_with(
        issuing=[
            entry(
                "persons-g2", under="root", years=10, generation=2, issues=["official", "citizen"]
            )
        ],
        services=[entry("ocsp-persons-g2", profile="ocsp", issuer="persons-g2")],
    )
    result = held(world, plan)
    assert list(result.certificates) == ["persons-g2", "ocsp-persons-g2"]
    assert world.authority.issuer_for("official").name == "persons-g2"
    assert world.authority.chain(old)[0] == world.authority.issuer("persons-g1").certificate
    new = issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    assert world.authority.chain(new)[0] == result.certificates["persons-g2"]
    crl.publish(world.authority, "persons-g1", now=world.now, by=BY)
    assert crl.current(world.authority, "persons-g2") is not None
    assert audit.verify(world.database).ok
    assert check_everything(world.authority, world.now).problems == []

    again = held(world, plan, now=world.now + timedelta(hours=1))
    assert again.certificates == {}
    numbers = [
        x509.load_der_x509_crl(one)
        .extensions.get_extension_for_class(x509.CRLNumber)
        .value.crl_number
        for one in (result.crls["root"], again.crls["root"])
    ]
    assert numbers == [2, 3]


@QUICK_DATABASE
def test_a_root_that_succeeds_is_linked_both_ways(world: World, tmp_path: Path) -> None:
    """RFC 4210 §4.4: old-with-new and new-with-old certificates; openssl follows them."""
    plan = plan_with(roots=[entry("root-g2", years=25, succeeds="root")])
    made = held(world, plan).certificates
    assert list(made) == ["root-g2", "root-g2-by-root", "root-by-root-g2"]
    old, new = world.authority.issuer("root"), world.authority.issuer("root-g2")
    assert made["root-g2-by-root"].subject == new.certificate.subject
    assert made["root-g2-by-root"].public_key() == new.certificate.public_key()
    made["root-g2-by-root"].verify_directly_issued_by(old.certificate)
    made["root-by-root-g2"].verify_directly_issued_by(new.certificate)

    holder = issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    files = {
        "anchor": [new.certificate],
        "others": [world.authority.issuer("persons-g1").certificate, made["root-by-root-g2"]],
        "leaf": [holder],
    }
    for name, certificates in files.items():
        pem = b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
        (tmp_path / name).write_bytes(pem)
    told = subprocess.run(
        [
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            tmp_path / "anchor",
            "-untrusted",
            tmp_path / "others",
            tmp_path / "leaf",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert held(world, plan, now=world.now + timedelta(hours=1)).certificates == {}


@QUICK_DATABASE
def test_cross_certificates(world: World) -> None:
    """Cross-certificates."""
    keys = SoftwareKeys()
    theirs = keys.stand_in(
        parse_plan(quick_plan().text.replace("Root CA G1", "Other CA")).roots[0], now=world.now
    )
    pem = x509.load_der_x509_certificate(theirs).public_bytes(Encoding.PEM).decode()
    plan = plan_with(cross=[{"name": "other", "issuer": "root", "certificate": pem, "years": 3}])
    certificate = held(world, plan).certificates["other"]
    certificate.verify_directly_issued_by(world.authority.issuer("root").certificate)
    assert "Other CA" in certificate.subject.rfc4514_string()
    assert held(world, plan, now=world.now + timedelta(hours=1)).certificates == {}


@QUICK_DATABASE
def test_an_issuing_ca_is_taken_back_by_a_ceremony(world: World) -> None:
    """RFC 5280 §5: the root's CRL names the issuing CA it takes back."""
    serial = world.authority.issuer("agencies-g1").certificate.serial_number
    revoked = [
        {"serial": f"{serial:032x}", "reason": "cessationOfOperation", "on": world.now.date()}
    ]
    result = held(world, plan_with(revoked=revoked), now=world.now + timedelta(days=1))
    entry_found = x509.load_der_x509_crl(
        result.crls["root"]
    ).get_revoked_certificate_by_serial_number(serial)
    assert entry_found is not None
    assert world.authority.certificate(serial).status == "revoked"


@QUICK_DATABASE
def test_a_dry_run_leaves_nothing(world: World) -> None:
    """A dry run with throw-away keys prints what would be signed."""
    plan = plan_with(
        issuing=[entry("citizens-g1", under="root", years=5, issues=["citizen"])],
        services=[entry("ocsp-citizens-g1", profile="ocsp", issuer="citizens-g1")],
    )
    keys = world.token.resident_keys()
    with world.database.reading() as session:
        entries = session.scalar(select(func.count()).select_from(CertificateRow))
    result = held(world, plan, dry_run=True, witnesses=())
    assert result.dry_run
    assert list(result.certificates) == ["citizens-g1", "ocsp-citizens-g1"]
    assert any("citizens-g1: CN=TEST citizens-g1" in line for line in result.log)
    assert world.token.resident_keys() == keys
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(CertificateRow)) == entries
        assert session.scalar(select(func.count()).select_from(CeremonyRow)) == 1
    with pytest.raises(CaError):
        world.authority.issuer("citizens-g1")


@QUICK_DATABASE
def test_an_interrupted_ceremony_is_run_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN §3 rule 3: nothing done twice, nothing half-done."""
    plan = plan_with(
        issuing=[entry("later-g1", under="root", years=5, issues=["citizen"])],
        services=[entry("ocsp-later-g1", profile="ocsp", issuer="later-g1")],
    )

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    for name in ("store", "service_row", "_concluded"):
        with monkeypatch.context() as patch:
            patch.setattr(ceremony, name, crash)
            with pytest.raises(Crash):
                held(world, plan)
    result = held(world, plan)
    assert world.authority.service("ocsp-later-g1").issuer == "later-g1"
    labels = [key.label for key in world.token.resident_keys()]
    assert labels.count("later-g1") == 1
    assert labels.count("ocsp-later-g1") == 1
    assert result.signature


def test_the_root_signs_only_what_the_plan_names() -> None:
    """The root's side checks requests against the plan that it read itself."""
    plan = quick_plan()
    keys = SoftwareKeys()
    for one in plan.issuing:
        keys.make(one.name, one.key)
    good = {
        one.name: request(one.subject.to_x509(), keys.private(one.name)) for one in plan.issuing
    }
    good["ocsp-root"] = _request(plan, "ocsp-root")
    work = RootWork(plan_text=plan.text, base_url=BASE_URL, now=_now(), requests=good)
    answer = root_side.sign_plan(plan, work, keys.root)
    assert [name for name, _, _, _ in answer.certificates] == [
        "root",
        "persons-g1",
        "agencies-g1",
        "services-g1",
        "ocsp-root",
    ]
    stranger = ec.generate_private_key(ec.SECP256R1())
    other = Subject.service("TEST other").to_x509()
    for name, der, code in (
        ("sub-ca", good["persons-g1"], "request-not-planned"),
        ("tsa-g1", _request(plan, "tsa-g1"), "request-not-planned"),
        ("persons-g1", good["agencies-g1"], "request-subject-other"),
        ("persons-g1", request(other, stranger), "request-subject-other"),
        ("persons-g1", request(plan.issuing[0].subject.to_x509(), stranger), "request-key-other"),
        ("persons-g1", _last_octet_flipped(good["persons-g1"]), "request-not-proven"),
        ("persons-g1", b"\x30\x00", "request-unreadable"),
    ):
        with pytest.raises(CaError) as refused:
            root_side.sign_plan(plan, replace(work, requests={name: der}), keys.root)
        assert refused.value.code == code


def _last_octet_flipped(request: bytes) -> bytes:
    return request[:-1] + bytes([request[-1] ^ 1])


@QUICK_DATABASE
def test_the_root_s_process_is_gone_afterwards(world: World) -> None:
    """DESIGN §4: the root's token is closed except in a ceremony."""
    held(world, plan_with())
    assert not [child for child in multiprocessing.active_children() if child.name == "dauso-root"]
    assert "dauso-root" not in os.environ.get("SOFTHSM2_CONF", "")


def _request(plan: Plan, name: str) -> bytes:
    one = next(service for service in plan.services if service.name == name)
    keys = SoftwareKeys()
    keys.make(name, one.key)
    return request(one.subject.to_x509(), keys.private(name))


def _now() -> Any:
    from tests.world import NOW

    return NOW


def test_every_planned_profile_exists() -> None:
    """A plan names profiles; each is frozen data of ours."""
    assert {profile for one in quick_plan().issuing for profile in one.profiles} <= PROFILES.keys()
