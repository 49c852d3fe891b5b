"""`./dauso bench ca`: issuing, CRLs, OCSP and time-stamps, beside the raw rate of their keys and
beside OpenSSL, in one run.

The limit of each rate is the same key signing digests and nothing else, on the same token thread.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import sys
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from api.interpreter import tune
from bench import ca_http
from bench.ca_world import (
    BY,
    ISSUER,
    BenchWorld,
    bench_world,
    populate,
    revoke_all,
    with_rsa_services,
)
from bench.peers.openssl_ca import OpensslAuthority
from bench.report import Report, alternately, arguments, duration, rate
from ca import signature_algorithms
from ca.authority import Authority
from ca.issuance import Order, issue_in_bulk
from ca.names import Subject
from ca.status import crl, status_changes
from ca.status.crl_scope import Scope
from ca.status.ocsp import Responder
from ca.status.ocsp_encoding import public_key_bits
from ca.time.tsa import TimeStampAuthority, TsaPolicy

REVOKED = 72_000
SHARD = 9_000
_RAW = "raw signatures of the same key"


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; the exit status says whether every goal was met."""
    tune()  # as `dauso serve` does
    report = Report("ca", arguments("Issuing, CRL, OCSP, time-stamps").parse_args(arguments_))
    report.say("ceremony")
    with bench_world() as world:
        _issuing(report, world)
        for keys in ("p-256", "rsa-2048"):
            world = world if keys == "p-256" else with_rsa_services(world)
            requests = _ocsp(report, world, keys)
            raw = _stamps(report, world, keys)
            report.say(f"over HTTP, {keys}")
            ca_http.measure(report, world, keys, requests, raw)
        _lists(report, world)
    return report.finish()


def _raw(key: signature_algorithms.SigningKey) -> Callable[[], object]:
    digest = signature_algorithms.digest_for(key.public_key())
    data = secrets.token_bytes(300)
    return lambda: signature_algorithms.sign(key, data, digest)


def _beside_raw(
    report: Report,
    world: BenchWorld,
    key: signature_algorithms.SigningKey,
    work: Callable[[], object],
) -> tuple[float, float]:
    """Ours and the raw rate, in turn, on the thread that owns the token."""
    works = (work, _raw(key))
    ours, raw = world.token.on_token_thread(
        lambda: alternately(works, seconds=report.seconds, rounds=report.rounds)
    )
    return ours, raw


def _issuing(report: Report, world: BenchWorld) -> None:
    report.say("issuing")
    some = Subject.official("Lê Văn Thử", citizen_id="038812345678", unit="UBND phường Hạc Thành")
    each_round = 400 if report.quick else 4_000
    key = world.authority.key(world.authority.issuer(ISSUER))

    def issued(count: int) -> float:
        """Certificates per second; the holders' keys exist before."""
        keys = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(count)]
        orders = [Order("official", some, key) for key in keys]
        return count / duration(
            lambda: list(issue_in_bulk(world.authority, orders, now=world.now, by=BY)), 1
        )

    kept = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)  # as `dauso enrol` does
    issued(100)
    rates, raws = [], []
    for _ in range(report.rounds):
        raws.append(world.token.on_token_thread(lambda: rate(_raw(key), report.seconds)))
        rates.append(issued(each_round))
    sys.setswitchinterval(kept)
    rates.sort()
    raws.sort()
    report.add(
        "certificates issued in bulk (RSA-2048)",
        rates[len(rates) // 2],
        "1/s",
        limit=raws[len(raws) // 2],
        peer=_RAW,
        goal=0.70,
    )


def _lists(report: Report, world: BenchWorld) -> None:
    report.say(f"revoking {REVOKED:,}")
    serials = [secrets.randbits(126) | 1 << 126 for _ in range(REVOKED)]
    revoke_all(world, serials, shard_size=SHARD)
    times = 3 if report.quick else 7
    moment = itertools.count(1)

    def now() -> datetime:
        return world.now + timedelta(milliseconds=next(moment))

    def cold() -> Authority:
        return Authority(world.database, world.token, base_url=world.authority.base_url)

    report.say("lists")
    peer = OpensslAuthority(world.home / "openssl", serials)
    scratch = duration(
        lambda: crl.publish(cold(), ISSUER, now=now(), by=BY),
        times,
    )
    report.add(
        f"CRL of {REVOKED:,}: read, built, signed, stored",
        scratch,
        "s",
        limit=peer.seconds_per_crl(times),
        peer="openssl ca -gencrl",
        goal=1.0,
    )

    def one_more() -> None:
        at = world.now + timedelta(milliseconds=next(moment))
        with world.database.transaction() as session:
            status_changes.append(
                session,
                issuer=ISSUER,
                serial=secrets.randbits(126),
                reason=x509.ReasonFlags.superseded,
                revoked_at=at,
                now=at,
                shard=1,
            )
        crl.publish_after_change(world.authority, ISSUER, now=at, by=BY)

    one_more()
    report.add(
        "one more revocation, complete and delta list published",
        duration(one_more, times),
        "s",
        limit=0.1,
        peer="goal",
        goal=1.0,
    )
    report.add(
        f"shard of {SHARD:,}",
        duration(
            lambda: crl.publish_scopes(
                world.authority, ISSUER, [Scope.of_shard(2)], now=world.now, by=BY
            ),
            times,
        ),
        "s",
        limit=0.05,
        peer="goal",
        goal=1.0,
    )


def _ocsp(report: Report, world: BenchWorld, keys: str) -> list[bytes]:
    """Returns the requests without nonce, their answers made."""
    report.say(f"OCSP, {keys}")
    issuer = world.authority.issuer(ISSUER).certificate
    serials = populate(world, 500 if report.quick else 5_000)
    names = [
        hashlib.sha1(part, usedforsecurity=False).digest()
        for part in (issuer.subject.public_bytes(), public_key_bits(issuer))
    ]

    def request(serial: int, nonce: bool) -> bytes:
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            names[0], names[1], serial, hashes.SHA1()
        )
        if nonce:
            builder = builder.add_extension(x509.OCSPNonce(secrets.token_bytes(32)), critical=False)
        return builder.build().public_bytes(Encoding.DER)

    responder = Responder(world.authority)
    live = [request(serial, True) for serial in serials]
    plain = [request(serial, False) for serial in serials[:200]]
    for each in live + plain:
        responder.respond(each, issuer=ISSUER, now=world.now)
    asked, repeated = itertools.cycle(live), itertools.cycle(plain)
    key = world.authority.service(f"ocsp-{ISSUER}").key
    ours, raw = _beside_raw(
        report,
        world,
        key,
        lambda: responder.respond(next(asked), issuer=ISSUER, now=world.now),
    )
    report.add(f"OCSP live, with nonce ({keys})", ours, "1/s", limit=raw, peer=_RAW, goal=0.70)
    if keys == "rsa-2048":
        peer = OpensslAuthority(world.home / "openssl-ocsp", serials)
        theirs = peer.answers_per_second(peer.request_for(serials[0]), report.seconds)
        if theirs is not None:
            report.add(
                "OCSP live, with nonce", ours, "1/s", limit=theirs, peer="openssl ocsp -port"
            )
        stored = rate(
            lambda: responder.reply(next(repeated), issuer=ISSUER, now=world.now), report.seconds
        )
        report.add("OCSP pre-signed, in process", stored, "1/s")
    return plain


def _stamps(report: Report, world: BenchWorld, keys: str) -> Callable[[float], float]:
    """Returns what measures the raw rate of the time-stamp key for so many seconds."""
    report.say(f"time-stamps, {keys}")
    tsa = TimeStampAuthority(world.authority, TsaPolicy(log_aside=True))  # as the service has it
    digest = hashlib.sha256(b"decision").digest()
    ticks = itertools.count()

    def moment() -> datetime:
        return world.now + timedelta(milliseconds=next(ticks) % 60_000)

    key = world.authority.service("tsa").key
    ours, raw = _beside_raw(
        report,
        world,
        key,
        lambda: tsa.stamp(digest, now=moment()),
    )
    report.add(
        f"time-stamps in process, logged ({keys})", ours, "1/s", limit=raw, peer=_RAW, goal=0.65
    )
    kind = "rsa:2048" if keys == "rsa-2048" else "ec"
    peer = OpensslAuthority(world.home / f"openssl-ts-{keys}", [], key=kind)
    report.add(
        f"time-stamps in process, logged ({keys})",
        ours,
        "1/s",
        limit=peer.stamps_per_second(report.seconds),
        peer="openssl ts -reply",
    )
    return lambda seconds: world.token.on_token_thread(lambda: rate(_raw(key), seconds))


if __name__ == "__main__":
    raise SystemExit(main())
