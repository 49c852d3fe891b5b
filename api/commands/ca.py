"""`dauso ca`: the hierarchy and its certificates."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import (
    TerminalError,
    ask_pin,
    complain,
    new_pin,
    now,
    opened_house,
    operator,
    parse_time,
    read_file,
    say,
    say_json,
    unopened_house,
    write_file,
)

if TYPE_CHECKING:
    from ca.ceremonies.ceremony import CeremonyResult
    from ca.ceremonies.root_secret import Witness

app = typer.Typer(
    help="Certificates, CRLs, the ceremony.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Serial = Annotated[str, typer.Argument(help="Serial number in hex, as `ca list` shows it")]


@app.command()
def ceremony(
    plan: Annotated[Path, typer.Argument(help="The reviewed plan, YAML")],
    dry_run: Annotated[bool, typer.Option(help="Show what would be signed; keep nothing")] = False,
    witness_file: Annotated[
        list[Path] | None,
        typer.Option(help="Owner-only file with a witness's passphrase, in the plan's order"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Directory for certificates, lists and signed log"),
    ] = None,
) -> None:
    """Make what the plan names and the tables lack. Each witness types their own passphrase.

    Examples are in ca/plans: the first hierarchy, a rollover, a root re-key, a cross certificate.
    """
    from ca.ceremonies.plan import load_plan

    wanted = load_plan(plan)
    with unopened_house() as house:
        from api.first_run import prepare
        from ca.ceremonies.ceremony import RootSettings, run_ceremony

        prepare(house)
        root = house.settings.home / "root"
        result = run_ceremony(
            wanted,
            root_settings=RootSettings(root),
            token=house.token,
            database=house.database,
            base_url=house.settings.base_url,
            witnesses=[] if dry_run else _witnesses(wanted.witnesses, witness_file or [], root),
            now=now(),
            by=operator(),
            dry_run=dry_run,
        )
    for line in result.log:
        say(line, line)
    if output is not None:
        _write_result(output, result)
    if dry_run:
        say("Chạy thử: không có gì được giữ lại.", "A dry run: nothing was kept.")


@app.command()
def issue(
    csr: Annotated[Path, typer.Argument(help="PKCS#10 request, PEM or DER")],
    profile: Annotated[str, typer.Option(help="official, agency-seal, api-client, …")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the certificate goes")],
    born: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A person's day of birth, for the registry"),
    ] = None,
) -> None:
    """Take a request in, have a person's identity checked, and issue it; or say who must approve.

    Where the profile asks for a second person: `dauso ca approve`, and then this again.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    with opened_house() as house:
        from api.adapters.population_registry import registry_of
        from ca import registration

        made = registration.register(
            house.authority,
            profile=profile,
            csr=read_file(csr),
            born=None if born is None else born.date(),
            registry=registry_of(house.settings),
            now=now(),
            by=operator(),
        )
        if made.certificate is None:
            say(
                f"Chờ người thứ hai duyệt: {made.request.id}  mã duyệt {made.request.digest}",
                f"Waits for a second person: {made.request.id}  digest {made.request.digest}",
            )
            return
        write_file(output, made.certificate.public_bytes(Encoding.PEM))
    serial = made.certificate.serial_number
    say(f"✓ {serial:x}", f"✓ {serial:x}")


@app.command()
def revoke(
    serial: Serial,
    reason: Annotated[str, typer.Option(help="RFC 5280: keyCompromise, superseded, …")],
    since: Annotated[str | None, typer.Option(help="When it happened; now when absent")] = None,
) -> None:
    """End a certificate; final. The CRL is republished at once."""
    from ca.status.revocation import RevocationReason
    from ca.status.revocation import revoke as act

    try:
        why = RevocationReason(reason)
    except ValueError:
        known = ", ".join(one.value for one in RevocationReason)
        raise TerminalError("parameter-invalid", name="--reason", reason=known) from None
    with opened_house() as house:
        act(
            house.authority,
            _serial(serial),
            reason=why,
            revoked_at=parse_time(since),
            now=now(),
            by=operator(),
        )
    say(f"✓ Đã thu hồi {serial}.", f"✓ {serial} is revoked.")


@app.command()
def suspend(serial: Serial) -> None:
    """Hold a certificate until it is resumed."""
    from ca.status.revocation import suspend as act

    with opened_house() as house:
        act(house.authority, _serial(serial), now=now(), by=operator())
    say(f"✓ Đã tạm dừng {serial}.", f"✓ {serial} is suspended.")


@app.command()
def resume(serial: Serial) -> None:
    """End a hold."""
    from ca.status.revocation import resume as act

    with opened_house() as house:
        act(house.authority, _serial(serial), now=now(), by=operator())
    say(f"✓ Đã khôi phục {serial}.", f"✓ {serial} is good again.")


@app.command()
def crl(
    issuer: Annotated[str | None, typer.Argument(help="All issuers when absent")] = None,
) -> None:
    """Publish fresh revocation lists now."""
    from ca.status.crl import publish

    with opened_house() as house:
        authority = house.authority
        names = [one.name for one in authority.issuers() if one.key_id is not None]
        for name in [issuer] if issuer else names:
            size = len(publish(authority, name, now=now(), by=operator()))
            say(f"✓ {name}.crl: {size} byte", f"✓ {name}.crl: {size} bytes")


@app.command("list")
def list_(
    issuer: Annotated[str | None, typer.Option(help="Only this issuer's")] = None,
    status: Annotated[str | None, typer.Option(help="good, held, revoked")] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
    limit: Annotated[int, typer.Option(min=1)] = 100,
) -> None:
    """Certificates, newest first."""
    from cryptography import x509
    from sqlalchemy import select

    from ca.models import CertificateRow
    from ca.names import display_name

    query = select(CertificateRow).order_by(CertificateRow.issued_at.desc()).limit(limit)
    if issuer is not None:
        query = query.where(CertificateRow.issuer == issuer)
    if status is not None:
        query = query.where(CertificateRow.status == status)
    with unopened_house() as house:
        house.check_home()
        with house.database.reading() as session:
            rows = session.scalars(query).all()
    for row in rows:
        subject = display_name(x509.load_der_x509_certificate(row.der).subject)
        if json:
            say_json({"serial": row.serial, "status": row.status, "subject": subject})
        else:
            line = f"{row.serial}  {row.status:<8}  {row.profile:<12}  {subject}"
            say(line, line)


@app.command()
def show(serial: Serial) -> None:
    """One certificate in PEM, with its status."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from ca.models import CertificateRow, serial_text
    from ca.names import display_name

    with unopened_house() as house:
        house.check_home()
        with house.database.reading() as session:
            row = session.get(CertificateRow, serial_text(_serial(serial)))
    if row is None:
        raise TerminalError("certificate-unknown", serial=serial)
    certificate = x509.load_der_x509_certificate(row.der)
    facts = f"{display_name(certificate.subject)}\n{row.status}  {row.reason or ''}\n"
    pem = certificate.public_bytes(Encoding.PEM).decode()
    say(facts + pem, facts + pem)


@app.command()
def check() -> None:
    """Trust nobody: lint everything issued again, compare rows with CRL and OCSP."""
    from ca.checking.checks import check_everything

    began = time.monotonic()

    def progress(count: int) -> None:
        rate = count / (time.monotonic() - began)
        sys.stderr.write(f"\r{count:,} ({rate:,.0f}/s) ")
        sys.stderr.flush()

    with opened_house(only_look=True) as house:
        report = check_everything(house.authority, now(), told=progress)
    if report.certificates >= 500:
        sys.stderr.write("\n")
    for one in report.problems:
        complain(f"{one.code}  {one.subject}  {one.text}")
    if not report.ok:
        raise TerminalError("ca-check-failed", count=len(report.problems))
    count = report.certificates
    say(f"✓ Đã kiểm tra {count} chứng thư.", f"✓ {count} certificates checked.")


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(help="What the web server or CDN serves as /pki")],
) -> None:
    """Write certificates and lists as files; only what has changed, each whole."""
    from ca.status.static_files import write

    with opened_house() as house:
        try:
            changed = write(house.authority, directory)
        except OSError as error:
            reason = error.strerror or str(error)
            raise TerminalError("file-unwritable", path=directory, reason=reason) from error
    for name in changed:
        say(f"✓ {name}", f"✓ {name}")


@app.command()
def requests(json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Requests that wait for a second person, with the digest that an approval names."""
    from ca.enrolment import waiting

    with opened_house() as house:
        found = waiting(house.authority)
    for one in found:
        if json:
            facts = {"id": one.id, "digest": one.digest, "profile": one.profile}
            say_json({**facts, "subject": one.subject.display(), "by": one.requested_by})
        else:
            line = f"{one.id}  {one.profile}  {one.subject.display()}  ({one.requested_by})"
            say(f"{line}\n  {one.digest}", f"{line}\n  {one.digest}")


@app.command()
def approve(
    request: Annotated[str, typer.Argument(help="As `ca requests` shows it")],
    digest: Annotated[str, typer.Option(help="What was looked at: bound to name and key")],
) -> None:
    """Agree to exactly this request; whoever made it fetches the certificate."""
    from ca import enrolment

    with opened_house() as house:
        enrolment.approve(house.authority, request, digest=digest, now=now(), by=operator())
    say(f"✓ Đã duyệt {request}.", f"✓ {request} is approved.")


@app.command()
def reject(
    request: Annotated[str, typer.Argument(help="As `ca requests` shows it")],
    reason: Annotated[str, typer.Option(help="Told to whoever asked")],
) -> None:
    """Turn a request down."""
    from ca import enrolment

    with opened_house() as house:
        enrolment.reject(house.authority, request, reason=reason, now=now(), by=operator())
    say(f"✓ Đã từ chối {request}.", f"✓ {request} is rejected.")


def _serial(text: str) -> int:
    try:
        return int(text.replace(":", ""), 16)
    except ValueError:
        raise TerminalError("parameter-invalid", name="serial", reason="hex") from None


def _write_result(directory: Path, result: CeremonyResult) -> None:
    """Everything that was signed, for the people who were there to take along."""
    from cryptography.hazmat.primitives.serialization import Encoding

    for name, certificate in result.certificates.items():
        write_file(directory / f"{name}.pem", certificate.public_bytes(Encoding.PEM))
    for name, encoded in result.crls.items():
        write_file(directory / f"{name}.crl", encoded)
    if result.signature:
        write_file(directory / "ceremony.json", result.record.encode())
        write_file(directory / "ceremony.json.sig", result.signature)


def _witnesses(names: tuple[str, ...], files: list[Path], root: Path) -> list[Witness]:
    """Each authenticates on their own; for a root that is not there yet, passphrases are chosen."""
    from ca.ceremonies.root_secret import SEALED_FILE, Witness

    ask = ask_pin if (root / SEALED_FILE).exists() else new_pin
    sources: list[Path | None] = [*files]
    sources += [None] * (len(names) - len(files))
    return [
        Witness(name, ask(f"Passphrase, {name}", source))
        for name, source in zip(names, sources, strict=False)
    ]
