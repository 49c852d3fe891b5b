"""What the token alone can do: the limit every other figure is compared with.

    rates = raw_rates(token, seconds=1.0)        # {"rsa-2048 sign": 1675.2, …} per second
    python -m bench.token_rate                   # a table, on a SoftHSM of its own

Raw means python-pkcs11 on the token's own thread: no digest, no DER, no health check. Beside it,
`own_rates` does the same through the keys of `hsm`, in turn with the raw calls.
"""

from __future__ import annotations

import hashlib
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from pkcs11 import Attribute, Mechanism, MechanismFlag, ObjectClass

from hsm.custody import Custody
from hsm.kek import UNWRAPPED, find_kek
from hsm.key_pairs import generate_pair
from hsm.mechanisms import DIGEST_INFO, WRAP_MECHANISMS, KeyAlgorithm
from hsm.private_key import PrivateKey, TokenRsaPrivateKey
from hsm.softhsm import prepare
from hsm.token import Token

ALGORITHMS = (KeyAlgorithm.RSA_2048, KeyAlgorithm.P_256)
DIGEST = hashlib.sha256(b"token rate").digest()
DATA = b"token rate"
SCHEME, SHA256, ECDSA = padding.PKCS1v15(), hashes.SHA256(), ec.ECDSA(hashes.SHA256())
HEADER = 18
"""What hsm.custody puts before the wrapped key."""
ROUNDS = 9

Work = Callable[[], object]
Clock = Callable[[], float]


def raw_rates(token: Token, seconds: float = 1.0) -> dict[str, float]:
    """Operations per second of the bare token, `seconds` for each.

    `rsa-2048 sign` and `p-256 sign` (a resident key's session copy), `… unwrap+sign+destroy`,
    `… kept` (an unwrapped key signing again), `p-256 generate` (pair, wrap, destroy).
    """
    with _material(token) as material:
        return token.run(lambda session: _timed(_raw(session, material), seconds))


def own_rates(token: Token, seconds: float = 1.0) -> dict[str, float]:
    """The same operations through `hsm`'s keys and custody, as the service does them."""
    with _material(token) as material:
        return token.on_token_thread(lambda: _timed(_own(material), seconds))


def compare(token: Token, seconds: float = 1.0) -> list[dict[str, object]]:
    """Own and raw rates measured in turn, as figures with the raw rate for their limit.

    Per second of the token thread's processor time: what a core does, on a busy machine too.
    """
    with _material(token) as material:

        def work(session: pkcs11.Session) -> tuple[dict[str, float], dict[str, float]]:
            raw, own = _raw(session, material), _own(material)
            both = {f"raw {name}": work for name, work in raw.items()}
            both |= {f"own {name}": work for name, work in own.items()}
            in_turn = dict(sorted(both.items(), key=lambda each: each[0][4:]))
            rates = _timed(in_turn, seconds, time.thread_time)
            return (
                {name: rates[f"raw {name}"] for name in raw},
                {name: rates[f"own {name}"] for name in own},
            )

        raw, own = token.run(work)
    return [
        {
            "name": f"token {name}",
            "value": own[name],
            "unit": "1/s",
            "limit": raw[name],
            "ratio": own[name] / raw[name],
            "peer": None,
        }
        for name in raw
    ]


@contextmanager
def bare_works(token: Token) -> Iterator[dict[str, Work]]:
    """What `raw_rates` times, for a bench that takes turns with it; call them on the token's
    thread."""
    with _material(token) as material:
        yield token.run(lambda session: _raw(session, material))


class _Material:
    """Keys to measure with: resident ones, wrapped ones, and the same kept unwrapped."""

    def __init__(self, token: Token) -> None:
        self.custody = Custody(token)
        self.resident = {each: token.generate(each, label="bench") for each in ALGORITHMS}
        self.keys = {each: token.key(self.resident[each].key_id) for each in ALGORITHMS}
        self.wrapped = {each: self.custody.generate(each) for each in ALGORITHMS}
        self.now = datetime.now(UTC)
        self.until = self.now + timedelta(hours=1)
        self.opened: list[Any] = []
        self.handles = {each: secrets.token_hex(8) for each in ALGORITHMS}

    def kept(self, algorithm: KeyAlgorithm) -> PrivateKey:
        return self.custody.kept(
            self.wrapped[algorithm],
            handle=self.handles[algorithm],
            until=self.until,
            now=self.now,
        )


@contextmanager
def _material(token: Token) -> Iterator[_Material]:
    material = _Material(token)
    try:
        yield material
    finally:
        token.run(lambda _: [each.destroy() for each in material.opened])
        for algorithm, each in material.resident.items():
            token.remove(each.key_id)
            material.custody.forget(material.handles[algorithm])


def _raw(session: pkcs11.Session, material: _Material) -> dict[str, Work]:
    kek, code = find_kek(session, material.custody.kek_id)
    wrap = dict(WRAP_MECHANISMS)[code]
    works: dict[str, Work] = {}
    for algorithm in ALGORITHMS:
        sign = partial(_raw_sign, algorithm)
        unwrap = partial(
            kek.unwrap_key,
            ObjectClass.PRIVATE_KEY,
            algorithm.key_type,
            material.wrapped[algorithm].blob[HEADER:],
            mechanism=wrap,
            capabilities=MechanismFlag.SIGN,
            template=UNWRAPPED,
        )
        copy = _session_copy(session, material.resident[algorithm].key_id)
        works[f"{algorithm} sign"] = partial(sign, copy)
        works[f"{algorithm} unwrap+sign+destroy"] = partial(_once, unwrap, sign)
        kept = unwrap()
        works[f"{algorithm} kept"] = partial(sign, kept)
        material.opened += [copy, kept]
    works["p-256 generate"] = partial(_raw_generate, session, kek, wrap)
    return works


def _session_copy(session: pkcs11.Session, key_id: bytes) -> Any:
    wanted = {
        Attribute.ID: key_id,
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.TOKEN: True,
    }
    found: list[Any] = list(session.get_objects(wanted))
    return found[0].copy({Attribute.TOKEN: False})


def _raw_sign(algorithm: KeyAlgorithm, key: Any) -> object:
    payload = DIGEST_INFO["sha256"] + DIGEST if algorithm.is_rsa else DIGEST
    mechanism = Mechanism.RSA_PKCS if algorithm.is_rsa else Mechanism.ECDSA
    return key.sign(payload, mechanism=mechanism, buffer_size=algorithm.signature_length)


def _once(unwrap: Callable[[], Any], sign: Callable[[Any], object]) -> None:
    key = unwrap()
    sign(key)
    key.destroy()


def _raw_generate(session: pkcs11.Session, kek: Any, wrap: Mechanism) -> None:
    public, private = generate_pair(
        session,
        KeyAlgorithm.P_256,
        store=False,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True},
    )
    kek.wrap_key(private, mechanism=wrap)
    private.destroy()
    public.destroy()


def _own(material: _Material) -> dict[str, Work]:
    works: dict[str, Work] = {}
    for algorithm in ALGORITHMS:
        works[f"{algorithm} sign"] = partial(_sign, material.keys[algorithm])
        works[f"{algorithm} unwrap+sign+destroy"] = partial(_own_once, material, algorithm)
        works[f"{algorithm} kept"] = partial(_own_kept, material, algorithm)
    works["p-256 generate"] = partial(material.custody.generate, KeyAlgorithm.P_256)
    return works


def _own_once(material: _Material, algorithm: KeyAlgorithm) -> None:
    with material.custody.unwrapped(material.wrapped[algorithm]) as key:
        _sign(key)


def _own_kept(material: _Material, algorithm: KeyAlgorithm) -> None:
    _sign(material.kept(algorithm))


def _sign(key: PrivateKey) -> bytes:
    if isinstance(key, TokenRsaPrivateKey):
        return key.sign(DATA, SCHEME, SHA256)
    return key.sign(DATA, ECDSA)


def _timed(
    works: dict[str, Work], seconds: float, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Medians of rounds taken in turn, so that a busy machine is busy for everybody."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            rates[name].append(_rate(work, seconds / ROUNDS, clock))
    return {name: statistics.median(values) for name, values in rates.items()}


def _rate(work: Work, seconds: float, clock: Clock) -> float:
    done = 0
    start = clock()
    end = start + seconds
    while (now := clock()) < end or done == 0:
        work()
        done += 1
    return done / (now - start)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dauso-token-rate-") as directory:
        pin, so_pin = secrets.token_hex(8), secrets.token_hex(8)
        token = Token.open(prepare(Path(directory), label="bench", pin=pin, so_pin=so_pin))
        try:
            seconds = 0.2 if "--quick" in sys.argv else 1.0
            for each in compare(token, seconds):
                print(
                    f"{each['name']:<36} {each['value']:>9,.0f} of {each['limit']:>9,.0f} /s"
                    f"  {each['ratio']:.2f}"
                )
        finally:
            token.close()


if __name__ == "__main__":
    main()
