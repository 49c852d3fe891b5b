"""A passkey opens a signing key for the digests it was asked about, and for nothing else."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from hsm.mechanisms import KeyAlgorithm
from records.errors import DomainError
from records.models import AuditEntry
from signer.keys import activation, credentials, passkey_questions, passkeys
from signer.keys.assertions import Party, check
from signer.keys.passkey_models import PasskeyUseRow, SigningPasskeyRow
from signer.keys.passkeys import Answer
from signer.models import CredentialRow
from tests.ca.subjects import MAU
from tests.software_authenticator import Authenticator
from tests.world import World

PIN = "483920"
BY = "official:038800000001"
PARTY = Party("localhost", ("http://localhost:8000",))
DIGESTS = [hashlib.sha256(name).digest() for name in (b"one", b"two")]


def device(**more: Any) -> Authenticator:
    return Authenticator(PARTY.id, PARTY.origins[0], **more)


@pytest.fixture
def credential(world: World) -> Any:
    return credentials.enrol(
        world.desk,
        profile="official",
        subject=MAU,
        holder_id="CCCD:038800000001",
        unit="14797",
        pin=PIN,
        algorithm=KeyAlgorithm.P_256,
        now=world.now,
        by=BY,
    )


def enrol(world: World, credential: Any, key: Authenticator, *, pin: str = PIN) -> Any:
    asked = passkey_questions.ask_to_enrol(world.desk, credential.id, key.passkey, now=world.now)
    ((passkey, salt),) = asked.passkeys
    assert passkey == key.passkey
    return passkeys.enrol(
        world.desk,
        credential.id,
        pin=pin,
        question=asked.id,
        passkey=key.passkey,
        public_key=key.public_key,
        answer=Answer(key.get(asked.challenge), key.prf(salt)),
        party=PARTY,
        name="Máy tính của Thử",
        now=world.now,
        by=BY,
    )


def ask(world: World, credential: Any, digests: list[bytes] = DIGESTS) -> Any:
    return passkey_questions.ask(
        world.desk, credential.id, digests=digests, client="desk", now=world.now
    )


def authorize(world: World, credential: Any, question: str, answer: Answer, **other: Any) -> Any:
    given = {"digests": DIGESTS, "client": "desk", "now": world.now, **other}
    return passkeys.authorize(
        world.desk,
        credential_id=credential.id,
        question=question,
        answer=answer,
        party=PARTY,
        by=BY,
        **given,
    )


def refused(code: str, work: Any) -> DomainError:
    with pytest.raises(DomainError) as caught:
        work()
    assert caught.value.code == code
    return caught.value


def test_a_passkey_authorises_these_digests(world: World, credential: Any) -> None:
    """DESIGN §4: an authorisation for exactly these digests, and a proof that lasts.

    The kept answer is checked again from the rows alone, and for other digests it proves nothing.
    """
    key = device()
    made = enrol(world, credential, key)
    assert [one.name for one in passkeys.of_credential(world.desk, credential.id)] == [made.name]
    asked = ask(world, credential)
    ((_, salt),) = asked.passkeys
    answer = Answer(key.get(asked.challenge), key.prf(salt))
    opened = authorize(world, credential, asked.id, answer)
    with world.database.transaction() as session:
        assert len(activation.reserve(session, opened, DIGESTS, now=world.now)) == 2
    with pytest.raises(DomainError), world.database.transaction() as session:
        activation.reserve(session, opened, [bytes(32)], now=world.now)
    with world.database.reading() as session:
        use = session.get_one(PasskeyUseRow, asked.id)
        row = session.get_one(SigningPasskeyRow, made.id)
        tags = list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))
    assert (use.state, use.authorization_id) == ("proved", opened.id)
    kept = {
        "challenge": passkey_questions.challenge_of(use),
        "party": PARTY,
        "public_key": row.public_key,
        "sign_count": 0,
    }
    assert check(answer.assertion, **kept).signature == use.signature
    use.digests = hashlib.sha256(b"others").digest()
    with pytest.raises(DomainError):
        check(answer.assertion, **(kept | {"challenge": passkey_questions.challenge_of(use)}))
    assert "signing-passkey.added" in tags
    assert tags[-2:] == ["authorization.given", "signing-passkey.used"]
    # The question is spent: the same answer opens nothing again, and no attempt is lost by it.
    refused("passkey-question-over", lambda: authorize(world, credential, asked.id, answer))
    # The PIN still opens the key, as before.
    assert activation.open_key(world.desk, credential.id, PIN, now=world.now)


def test_what_is_not_the_answer(world: World, credential: Any) -> None:
    """WebAuthn §7.2: origin, domain, verification, signature, counter; and the PRF's secret.

    Each wrong answer is an attempt; the fifth in a row locks the credential for the PIN too.
    """
    key = device()
    enrol(world, credential, key)
    other = device()
    salt = ask(world, credential).passkeys[0][1]

    def wrong(made: Any, secret: bytes | None = None) -> DomainError:
        asked = ask(world, credential)
        answer = Answer(made(asked.challenge), key.prf(salt) if secret is None else secret)
        return refused("passkey-wrong", lambda: authorize(world, credential, asked.id, answer))

    def elsewhere(challenge: bytes) -> str:
        key.origin = "https://evil.example"
        try:
            return key.get(challenge)
        finally:
            key.origin = PARTY.origins[0]

    def unverified(challenge: bytes) -> str:
        key.verified = False
        try:
            return key.get(challenge)
        finally:
            key.verified = True

    def right() -> None:
        asked = ask(world, credential)
        authorize(world, credential, asked.id, Answer(key.get(asked.challenge), key.prf(salt)))

    assert wrong(elsewhere).params["left"] == 4
    assert wrong(unverified).params["left"] == 3
    assert wrong(lambda challenge: key.get(challenge, forge=True)).params["left"] == 2
    right()  # which forgives the attempts before it
    assert wrong(lambda challenge: key.get(bytes(32))).params["left"] == 4
    assert wrong(other.get).params["left"] == 3
    assert wrong(lambda challenge: "{" * 5000).params["left"] == 2
    right()
    key.counting = False
    assert wrong(key.get).params["left"] == 4  # a clone: the counter stands still
    key.counting = True
    assert wrong(key.get, secret=other.prf(salt)).params["left"] == 3
    assert wrong(key.get, secret=b"short").params["left"] == 2
    assert wrong(lambda challenge: "{}").params["left"] == 1
    asked = ask(world, credential)
    answer = Answer(key.get(bytes(32)), key.prf(salt))
    refused("credential-locked", lambda: authorize(world, credential, asked.id, answer))
    refused(
        "credential-locked",
        lambda: activation.open_key(world.desk, credential.id, PIN, now=world.now),
    )


def test_a_question_is_for_one_thing(world: World, credential: Any) -> None:
    """Other digests, another order, another client, a late answer: `passkey-question-over`."""
    key = device()
    enrol(world, credential, key)
    for other in (
        {"digests": DIGESTS[:1]},
        {"digests": DIGESTS[::-1]},
        {"client": "client:procedure-system"},
        {"now": world.now + timedelta(minutes=5)},
    ):
        asked = ask(world, credential)
        answer = Answer(key.get(asked.challenge), key.prf(asked.passkeys[0][1]))
        refused(
            "passkey-question-over",
            partial(authorize, world, credential, asked.id, answer, **other),
        )


def test_enrolling_needs_the_pin(world: World, credential: Any) -> None:
    """A wrong PIN enrols nothing and is counted; a stranger's authenticator neither."""
    key = device()
    assert refused("pin-wrong", lambda: enrol(world, credential, key, pin="000111")).params == {
        "left": 4
    }
    key.verified = False
    refused("passkey-not-recognised", lambda: enrol(world, credential, key))
    refused("passkey-none", lambda: ask(world, credential))
    key.verified = True
    enrol(world, credential, key)
    refused("passkey-already-enrolled", lambda: enrol(world, credential, key))


def test_seals_end(world: World, credential: Any) -> None:
    """Removed by its holder, or with the credential: the second copy of the key is erased."""
    key = device()
    made = enrol(world, credential, key)
    refused(
        "passkey-unknown",
        lambda: passkeys.remove(world.desk, "other", made.id, now=world.now, by=BY),
    )
    passkeys.remove(world.desk, credential.id, made.id, now=world.now, by=BY)
    refused("passkey-none", lambda: ask(world, credential))
    again = enrol(world, credential, key)
    credentials.retire(world.desk, credential.id, reason="left", now=world.now, by=BY)
    with world.database.reading() as session:
        row = session.get_one(SigningPasskeyRow, again.id)
        held = session.get_one(CredentialRow, credential.id)
    assert (row.sealed_key, held.sealed_key) == (b"", b"")
