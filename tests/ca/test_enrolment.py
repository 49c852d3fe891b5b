"""Requests: possession proven, hostile bytes refused, approvals bound to what was seen."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ca import enrolment
from ca.enrolment import approve, complete, find, read_csr, reject, submit, submit_csr, waiting
from ca.errors import CaError
from ca.models import RequestState
from ca.names import Subject
from tests.ca.subjects import HAC_THANH, MAU
from tests.world import BY, World

SECOND = "official:038900000077"
KEY = ec.generate_private_key(ec.SECP256R1())


def csr(subject: Subject | x509.Name = HAC_THANH, key: Any = KEY, digest: Any = None) -> bytes:
    name = subject if isinstance(subject, x509.Name) else subject.to_x509()
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


GOOD = csr()


def test_two_persons_and_then_a_certificate(world: World) -> None:
    """Approval by a second person where the profile asks, bound to the exact request."""
    words = {"now": world.now, "by": BY}
    request = submit_csr(world.authority, profile="agency-seal", csr=GOOD, **words)
    assert request.subject == HAC_THANH
    assert request.needs_approval
    assert [one.id for one in waiting(world.authority)] == [request.id]
    with pytest.raises(CaError) as refused:
        complete(world.authority, request.id, **words)
    assert refused.value.code == "request-not-approved"
    with pytest.raises(CaError) as refused:
        approve(world.authority, request.id, digest=request.digest, **words)
    assert refused.value.code == "approval-own-request"
    with pytest.raises(CaError) as refused:
        approve(world.authority, request.id, digest="00" * 32, now=world.now, by=SECOND)
    assert refused.value.code == "approval-other-request"
    approve(world.authority, request.id, digest=request.digest, now=world.now, by=SECOND)
    certificate = complete(world.authority, request.id, **words)
    assert Subject.from_x509(certificate.subject) == HAC_THANH
    assert complete(world.authority, request.id, **words) == certificate
    assert find(world.authority, request.id).state is RequestState.ISSUED
    with pytest.raises(CaError):
        approve(world.authority, request.id, digest=request.digest, now=world.now, by=SECOND)


def test_a_completion_cut_short_is_taken_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §3 rule 3: nobody gets two certificates for one request."""
    words = {"now": world.now, "by": BY}
    request = submit(
        world.authority, profile="official", subject=MAU, public_key=world.key(), **words
    )
    assert request.state is RequestState.APPROVED
    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "serial_text", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            complete(world.authority, request.id, **words)
    certificate = complete(world.authority, request.id, **words)
    assert find(world.authority, request.id).serial == certificate.serial_number


def test_a_rejection_is_final(world: World) -> None:
    """A refusal is reasoned and stays."""
    words = {"now": world.now, "by": BY}
    request = submit_csr(world.authority, profile="agency-seal", csr=GOOD, **words)
    reject(world.authority, request.id, reason="Sai mã số thuế", now=world.now, by=SECOND)
    assert find(world.authority, request.id).reason == "Sai mã số thuế"
    for act in (
        lambda: approve(world.authority, request.id, digest=request.digest, **words),
        lambda: complete(world.authority, request.id, **words),
        lambda: find(world.authority, "0" * 32),
    ):
        with pytest.raises(CaError):
            act()


def test_the_officer_s_name_counts(world: World) -> None:
    """The name an officer established replaces the one in the request."""
    request = submit_csr(
        world.authority,
        profile="official",
        csr=csr(Subject.service("TEST ai đó")),
        subject=MAU,
        now=world.now,
        by=BY,
    )
    assert request.subject == MAU


def test_pem_and_der_are_one() -> None:
    """RFC 2986 in either dress."""
    pem = x509.load_der_x509_csr(GOOD).public_bytes(Encoding.PEM)
    assert read_csr(pem)[0] == read_csr(GOOD)[0]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "request-unreadable"),
        (b"\x30\x80\x00\x00", "request-unreadable"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\n", "request-unreadable"),
        (base64.b64encode(GOOD), "request-unreadable"),
        (GOOD[:-1], "request-unreadable"),
        (GOOD + b"\x00", "request-unreadable"),
        (GOOD[:-1] + bytes((GOOD[-1] ^ 1,)), "request-not-proven"),
        (GOOD.replace("HẠC".encode(), "HẠD".encode()), "request-not-proven"),
        (b"\x30" * 20_000, "request-too-large"),
        (csr(key=ed25519.Ed25519PrivateKey.generate()), "key-kind-refused"),
    ],
)
def test_hostile_requests(data: bytes, code: str) -> None:
    """An error answer, never a 5xx, bounded memory."""
    with pytest.raises(CaError) as refused:
        read_csr(data)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("profile", "request_bytes", "code"),
    [
        ("official", csr(HAC_THANH), "name-incomplete"),
        ("citizen", csr(MAU), "name-not-permitted"),
        ("issuing", csr(Subject.service("TEST CA")), "profile-by-ceremony-only"),
        ("cross", csr(Subject.service("TEST CA")), "profile-by-ceremony-only"),
        ("king", GOOD, "profile-unknown"),
        (
            "agency-seal",
            csr(x509.Name([x509.NameAttribute(NameOID.PSEUDONYM, "x")])),
            "name-attribute-unknown",
        ),
        ("agency-seal", csr(x509.Name([])), "name-missing"),
        ("agency-seal", csr(key=rsa.generate_private_key(65537, 1024)), "key-size-refused"),
    ],
)
def test_what_a_profile_does_not_take(
    world: World, profile: str, request_bytes: bytes, code: str
) -> None:
    """The profile decides; the request's own wishes do not."""
    with pytest.raises(CaError) as refused:
        submit_csr(world.authority, profile=profile, csr=request_bytes, now=world.now, by=BY)
    assert refused.value.code == code


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda at, value: GOOD[:at] + bytes((value,)) + GOOD[at + 1 :],
            st.integers(0, len(GOOD) - 1),
            st.integers(0, 255),
        ),
        st.builds(lambda a, b: GOOD[:a] + GOOD[b:], *[st.integers(0, len(GOOD))] * 2),
    )
)
def test_any_bytes_are_refused_or_proven(data: bytes) -> None:
    """No input raises anything but a CaError."""
    try:
        parsed, _ = read_csr(data)
    except CaError:
        return
    assert parsed.is_signature_valid
