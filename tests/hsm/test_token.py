"""One token per process, one thread, and an inventory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.errors import HsmError
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import PrivateKey, TokenEcPrivateKey
from hsm.thread import TokenThread
from hsm.token import Token
from tests.tokens import test_token

Resident = Callable[[KeyAlgorithm], PrivateKey]


def test_a_process_opens_a_token_once(token: Token) -> None:
    """PERFORMANCE: "A second PIN login raises UserAlreadyLoggedIn": open it once, keep it."""
    assert Token.open(token.settings) is token
    with pytest.raises(HsmError) as error:
        Token.open(replace(token.settings, pin="0388-0000"))
    assert error.value.code == "token-pin-wrong"
    with pytest.raises(HsmError) as error:
        Token.open(replace(token.settings, softhsm_conf=None))
    assert error.value.code == "module-configured-otherwise"
    with pytest.raises(HsmError) as error:
        Token.open(replace(token.settings, module=Path("/nowhere/module.so")))
    assert error.value.code == "module-missing"


def test_no_pin_in_any_repr(token: Token) -> None:
    """DESIGN 3: secrets never in logs, errors, repr."""
    assert token.settings.pin not in repr(token.settings) + repr(token)


def test_resident_keys_are_listed_and_found_by_id(token: Token) -> None:
    """PERFORMANCE: SoftHSM "accepts duplicate labels: find by CKA_ID"."""
    one = token.generate(KeyAlgorithm.P_256, label="twins")
    two = token.generate(KeyAlgorithm.P_384, label="twins")
    listed = {each.key_id: each for each in token.resident_keys()}
    assert listed[one.key_id].algorithm is KeyAlgorithm.P_256
    assert listed[two.key_id].public_key == two.public_key
    assert len(one.key_id) == 16
    assert token.key(two.key_id).public_key() == two.public_key
    assert token.key(two.key_id) is token.key(two.key_id)
    for each in (one, two):
        token.remove(each.key_id)
        with pytest.raises(HsmError) as error:
            token.key(each.key_id)
        assert error.value.code == "key-missing"
    assert one.key_id not in {each.key_id for each in token.resident_keys()}


def test_session_copies_are_not_in_the_inventory(token: Token, resident: Resident) -> None:
    """PERFORMANCE: "Session objects appear in searches: filter on TOKEN"."""
    resident(KeyAlgorithm.P_256)
    ids = [each.key_id for each in token.resident_keys()]
    assert len(ids) == len(set(ids))


def test_a_closed_token_signs_no_more() -> None:
    """Keys of a closed token say so, also while another token of the module is open."""
    other = test_token()
    closed = test_token(label="closed")
    resident = closed.generate(KeyAlgorithm.P_256, label="closed")
    key = closed.key(resident.key_id)
    assert isinstance(key, TokenEcPrivateKey)
    closed.close()
    closed.close()
    with pytest.raises(HsmError) as error:
        key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    assert error.value.code == "token-closed"
    other.check()
    again = test_token(label="closed")
    assert again is not closed
    assert again.key(resident.key_id).public_key() == resident.public_key
    again.remove(resident.key_id)
    again.close()


def test_many_threads_share_one_pkcs11_thread(token: Token, resident: Resident) -> None:
    """PERFORMANCE: two threads inside the module crash the process; all calls go through one."""
    key = resident(KeyAlgorithm.P_256)
    assert isinstance(key, TokenEcPrivateKey)
    seen: set[int] = set()

    def work(number: int) -> None:
        data = str(number).encode()
        signature = key.sign(data, ec.ECDSA(hashes.SHA256()))
        key.public_key().verify(signature, data, ec.ECDSA(hashes.SHA256()))
        token.run(lambda _: seen.add(threading.get_ident()))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_a_job_runs_whole_on_the_token_thread(token: Token, resident: Resident) -> None:
    """No hop per signature: nested work runs at once, in order."""
    key = resident(KeyAlgorithm.P_256)
    assert isinstance(key, TokenEcPrivateKey)

    def job() -> list[int]:
        key.sign(b"data", ec.ECDSA(hashes.SHA256()))
        inner = token.on_token_thread(threading.get_ident)
        return [threading.get_ident(), inner, token.run(lambda _: threading.get_ident())]

    assert len(set(token.on_token_thread(job))) == 1


def test_errors_come_back_to_their_caller(token: Token) -> None:
    """One caller's mistake is that caller's exception; the thread goes on."""

    def fail(_: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        token.run(fail)
    with pytest.raises(SystemExit):
        token.on_token_thread(lambda: (_ for _ in ()).throw(SystemExit(3)))
    token.check()


def test_a_stopped_thread_finishes_what_it_has() -> None:
    """Nothing queued is lost, nothing is queued behind the end."""
    thread = TokenThread()
    done: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(thread.call, lambda n=n: done.append(n)) for n in range(50)]
        for each in jobs:
            each.result()
    thread.stop()
    assert sorted(done) == list(range(50))
    with pytest.raises(HsmError) as error:
        thread.call(lambda: None)
    assert error.value.code == "token-closed"
