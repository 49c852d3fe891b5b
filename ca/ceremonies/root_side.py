"""The root's side of a ceremony. It runs in a process of its own, spawned for the ceremony.

Requests go in, certificates and the root's CRL come out; the root token's key and PIN never are in
the service's memory, and when the process ends the token is closed. This side believes nothing it
is handed: it reads the plan again from its text, and signs a request only when the plan names it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from ca import key_policy, lint, signature_algorithms
from ca.ceremonies import root_secret
from ca.ceremonies.plan import Plan, RootPlan, parse_plan
from ca.ceremonies.root_secret import Witness
from ca.errors import UNREADABLE, CaError
from ca.issuer import Issuer
from ca.key_policy import PublicKey
from ca.names import Subject
from ca.profiles import PROFILES, Profile
from ca.serials import new_serial
from ca.status.crl_encoding import CrlTemplate
from ca.status.crl_scope import COMPLETE
from ca.status.status_lint import check_crl_shape
from ca.tbs import unsigned_certificate
from hsm import softhsm
from hsm.mechanisms import KeyAlgorithm
from hsm.token import Token
from records.errors import DomainError

ROOT_TOKEN = "dauso-root"  # noqa: S105 – a label, not a secret
MakeKey = Callable[[str, KeyAlgorithm], Any]


@dataclass(frozen=True)
class RootWork:
    """What the service hands over. `roots` are those that exist, by name, DER."""

    plan_text: str
    base_url: str
    now: datetime
    requests: dict[str, bytes]
    roots: dict[str, bytes] = field(default_factory=dict)
    linked: frozenset[str] = frozenset()
    crl_numbers: dict[str, int] = field(default_factory=dict)
    crl_entries: dict[str, list[bytes]] = field(default_factory=dict)
    cross: frozenset[str] = frozenset()


@dataclass
class RootAnswer:
    """What comes back: (name, issuer's name, profile, DER) in the order it was signed."""

    certificates: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    crls: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


def in_own_process(
    work: RootWork, directory: Path, witnesses: Sequence[Witness], *, module: Path | None = None
) -> RootAnswer:
    """Run the root's side in a spawned process and wait for what it signed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs,), name="dauso-root", daemon=True)
    process.start()
    theirs.close()
    try:
        # Passphrases travel through the pipe: arguments and environment can be read by others.
        ours.send((work, directory, tuple(witnesses), module))
        outcome, value = ours.recv()
    except (EOFError, OSError) as error:
        raise CaError("root-side-ended") from error
    finally:
        ours.close()
        process.join(timeout=30)
        if process.is_alive():
            process.kill()
    if outcome == "refused":
        kind, code, params = value
        raise kind(code, **params)
    if outcome == "failed":
        raise CaError("root-side-failed", why=value)
    answer: RootAnswer = value
    return answer


def _main(pipe: Connection) -> None:
    try:
        work, directory, witnesses, module = pipe.recv()
        pipe.send(("signed", _with_token(work, directory, witnesses, module)))
    except DomainError as error:
        pipe.send(("refused", (type(error), error.code, error.params)))
    except Exception as error:  # the parent has to hear of it, whatever it is
        pipe.send(("failed", f"{type(error).__name__}: {error}"))
    finally:
        pipe.close()


def _with_token(
    work: RootWork, directory: Path, witnesses: Sequence[Witness], module: Path | None
) -> RootAnswer:
    plan = parse_plan(work.plan_text)
    root_secret.check_witnesses(witnesses, plan.witnesses)
    if (directory / root_secret.SEALED_FILE).exists():
        secret = root_secret.open_secret(directory, witnesses)
    elif work.roots:
        raise CaError("root-secret-unreadable")
    else:
        secret = root_secret.create_secret(directory, witnesses)
    settings = softhsm.prepare(
        directory, label=ROOT_TOKEN, pin=secret.pin, so_pin=secret.so_pin, module=module
    )
    token = Token.open(settings)
    try:
        resident = {key.label: key for key in token.resident_keys()}

        def key_for(name: str, algorithm: KeyAlgorithm) -> Any:
            if name not in resident:
                if name in work.roots:
                    raise CaError("root-key-missing", name=name)
                resident[name] = token.generate(algorithm, label=name)
            return token.key(resident[name].key_id)

        return sign_plan(plan, work, key_for)
    finally:
        token.close()


def sign_plan(plan: Plan, work: RootWork, key_for: MakeKey) -> RootAnswer:
    """Sign all the plan asks of a root and the tables lack; a dry run gives software keys."""
    answer = RootAnswer()
    answer.log.append(f"plan {plan.digest} read by the root side: {plan.title}")
    roots: dict[str, Issuer] = {}
    keys: dict[str, Any] = {}

    # 1. The roots: those there are are opened, those there are not are made.
    for one in plan.roots:
        keys[one.name] = key_for(one.name, one.key)
        public_key = key_policy.accepted_type(keys[one.name].public_key())
        if one.name in work.roots:
            certificate = x509.load_der_x509_certificate(work.roots[one.name])
            answer.log.append(f"root {one.name} opened")
        else:
            certificate = _self_signed(one, keys[one.name], public_key, work, answer)
        roots[one.name] = Issuer(one.name, certificate, None, None, ("issuing",), work.base_url)
    sign = _Signer(roots, keys, work, answer)

    # 2. Each request: named in the plan, possession proven, subject and key as planned.
    planned = {one.name: (one.under, one, "issuing", one.years) for one in plan.issuing} | {
        one.name: (one.issuer, one, one.profile, PROFILES[one.profile].years)
        for one in plan.services
        if plan.root_of(one.issuer)
    }
    for name, request in work.requests.items():
        if name not in planned:
            raise CaError("request-not-planned", name=name)
        root, what, profile, years = planned[name]
        public_key = _proven(name, request, what.subject, what.key)
        sign(name, root, PROFILES[profile], what.subject, public_key, years)

    # 3. Links between a root and its successor, both ways, and cross certificates.
    for one in plan.roots:
        if one.succeeds is not None and one.name not in work.linked:
            old, new = roots[one.succeeds], roots[one.name]
            for above, below in ((old, new), (new, old)):
                subject = Subject.from_x509(below.certificate.subject)
                name = f"{below.name}-by-{above.name}"
                sign(name, above.name, PROFILES["cross"], subject, below.public_key, 10)
    for cross in plan.cross:
        if cross.name not in work.cross:
            subject = Subject.from_x509(cross.certificate.subject)
            public_key = key_policy.accepted_type(cross.certificate.public_key())
            sign(cross.name, cross.issuer, PROFILES["cross"], subject, public_key, cross.years)

    # 4. Every root's CRL anew.
    for name, root_issuer in roots.items():
        answer.crls[name] = _crl(plan, root_issuer, keys[name], work)
        answer.log.append(f"crl {name} number {work.crl_numbers.get(name, 1)} signed")
    return answer


@dataclass(frozen=True)
class _Signer:
    roots: dict[str, Issuer]
    keys: dict[str, Any]
    work: RootWork
    answer: RootAnswer

    def __call__(
        self,
        name: str,
        root: str,
        profile: Profile,
        subject: Subject,
        public_key: PublicKey,
        years: int,
    ) -> None:
        issuer = self.roots[root]
        key_policy.check(public_key, profile)
        end = min(_end(self.work.now, years), issuer.certificate.not_valid_after_utc)
        unsigned = unsigned_certificate(
            profile=profile,
            issuer=issuer,
            subject=subject,
            public_key=public_key,
            serial=new_serial(),
            not_before=self.work.now,
            not_after=end,
        )
        lint.stop_on_findings(
            unsigned, profile=profile, issuer=issuer, subject=subject, public_key=public_key
        )
        encoded = unsigned.sign(self.keys[root])
        certificate = x509.load_der_x509_certificate(encoded)
        certificate.verify_directly_issued_by(issuer.certificate)
        self.answer.certificates.append((name, root, profile.name, encoded))
        self.answer.log.append(f"{name}: {_told(certificate)}, signed by {root}")


def _self_signed(
    plan: RootPlan, key: Any, public_key: PublicKey, work: RootWork, answer: RootAnswer
) -> x509.Certificate:
    profile = PROFILES["root"]
    if key_policy.algorithm_of(public_key) is not plan.key:
        raise CaError("request-key-other", name=plan.name, planned=plan.key.value)
    key_policy.check(public_key, profile)
    unsigned = unsigned_certificate(
        profile=profile,
        issuer=None,
        subject=plan.subject,
        public_key=public_key,
        serial=new_serial(),
        not_before=work.now,
        not_after=_end(work.now, plan.years),
    )
    lint.stop_on_findings(
        unsigned, profile=profile, issuer=None, subject=plan.subject, public_key=public_key
    )
    certificate = x509.load_der_x509_certificate(unsigned.sign(key))
    certificate.verify_directly_issued_by(certificate)
    encoded = certificate.public_bytes(Encoding.DER)
    answer.certificates.append((plan.name, plan.name, "root", encoded))
    answer.log.append(f"{plan.name}: {_told(certificate)}, self-signed")
    return certificate


def _proven(name: str, request: bytes, subject: Subject, algorithm: KeyAlgorithm) -> PublicKey:
    """The key of a PKCS#10 request that proves possession and says what the plan says."""
    try:
        csr = x509.load_der_x509_csr(request)
        proven = csr.is_signature_valid
    except (*UNREADABLE, InvalidSignature) as error:
        raise CaError("request-unreadable") from error
    if not proven:
        raise CaError("request-not-proven")
    if csr.subject != subject.to_x509():
        raise CaError("request-subject-other", name=name)
    public_key = key_policy.accepted_type(csr.public_key())
    if key_policy.algorithm_of(public_key) is not algorithm:
        raise CaError("request-key-other", name=name, planned=algorithm.value)
    return public_key


def _crl(plan: Plan, issuer: Issuer, key: Any, work: RootWork) -> bytes:
    digest = signature_algorithms.digest_for(issuer.certificate.public_key())
    algorithm = signature_algorithms.identifier(issuer.certificate.public_key(), digest)
    template = CrlTemplate.of(issuer.certificate, algorithm)
    check_crl_shape(template, COMPLETE, address=issuer.crl_url)
    tbs = template.tbs(
        work.crl_entries.get(issuer.name, []),
        number=work.crl_numbers.get(issuer.name, 1),
        this_update=work.now,
        next_update=work.now + timedelta(days=plan.root_crl_days),
    )
    signature = signature_algorithms.sign(key, tbs, digest)
    signature_algorithms.verify(issuer.certificate.public_key(), signature, tbs, digest)
    return template.signed(tbs, signature)


def _end(start: datetime, years: int) -> datetime:
    try:
        return start.replace(year=start.year + years) - timedelta(seconds=1)
    except ValueError:  # 29 February
        return start.replace(year=start.year + years, day=28) - timedelta(seconds=1)


def _told(certificate: x509.Certificate) -> str:
    public_key = key_policy.accepted_type(certificate.public_key())
    name = Subject.from_x509(certificate.subject).display()
    until = certificate.not_valid_after_utc.date().isoformat()
    algorithm = key_policy.algorithm_of(public_key).value
    return f"{name} ({algorithm}, until {until}, serial {certificate.serial_number:032x})"
