"""`dauso holders`: a credential's life, and what stops when somebody leaves."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import ask_pin, new_pin, now, opened_house, operator, read_file, say

app = typer.Typer(
    help="The life of holders' credentials.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
CredentialId = Annotated[str, typer.Argument(help="Identifier of the credential")]
PinFile = Annotated[
    Path | None, typer.Option(help="Owner-only file with the PIN, or - for standard input")
]


@app.command()
def leave(
    holder: Annotated[str, typer.Argument(help="Prefix and number: CCCD:038812345678")],
    decision: Annotated[str, typer.Option(help="The written decision: 123/QĐ-UBND")],
) -> None:
    """An official leaves: everything of theirs stops at once."""
    with opened_house() as house:
        from api import departures

        left = departures.leave(house, holder, decision=decision, now=now(), by=operator())
    say(
        f"✓ Đã dừng {len(left.credentials)} khóa ký, thu hồi {len(left.certificates)} chứng thư"
        f", tạm dừng {len(left.seals)} khóa cơ quan người này giữ.",
        f"✓ {len(left.credentials)} credentials stopped, {len(left.certificates)} certificates "
        f"revoked, {len(left.seals)} seals they kept are held.",
    )


@app.command()
def activate(credential: CredentialId, pin_file: PinFile = None) -> None:
    """First use after a bulk enrolment: the code is asked for, then a new PIN."""
    code = ask_pin("Mã kích hoạt / activation code", None if pin_file is None else Path("-"))
    pin = new_pin("PIN", pin_file)
    with opened_house() as house:
        from signer.keys import pins

        pins.activate(house.desk, credential, code=code, pin=pin, now=now(), by=operator())
    say("✓ Đã kích hoạt.", "✓ Activated.")


@app.command()
def renew(credential: CredentialId) -> None:
    """A new certificate for the same key."""
    with opened_house() as house:
        from signer.holders import lifecycle

        made = lifecycle.renew(house.desk, credential, now=now(), by=operator())
    until = made.certificate.not_valid_after_utc.date().isoformat()
    say(f"✓ Có hiệu lực đến {until}.", f"✓ Valid until {until}.")


@app.command()
def rekey(
    credential: CredentialId,
    compromised: Annotated[bool, typer.Option("--compromised", help="Somebody had it")] = False,
    keeper: Annotated[
        str | None, typer.Option(help="CCCD:… of who keeps a seal after one who left")
    ] = None,
) -> None:
    """A new key for the same holder; prints the one-time activation code."""
    with opened_house() as house:
        from ca.status.revocation import RevocationReason
        from signer.holders import successors
        from signer.holders.handout import new_code

        reason = RevocationReason.KEY_COMPROMISE if compromised else RevocationReason.SUPERSEDED
        code = new_code()
        made = successors.rekey(
            house.desk,
            credential,
            activation_code=code,
            keeper=keeper,
            reason=reason,
            now=now(),
            by=operator(),
        )
    say(f"{made.id}  mã kích hoạt: {code}", f"{made.id}  activation code: {code}")


@app.command()
def hold(credential: CredentialId, reason: Annotated[str, typer.Option()]) -> None:
    """Out of use, certificate included, until `release`."""
    with opened_house() as house:
        from signer.holders import lifecycle

        lifecycle.suspend(house.desk, credential, reason=reason, now=now(), by=operator())
    say("✓ Đã tạm dừng.", "✓ Held.")


@app.command()
def release(credential: CredentialId) -> None:
    """Let a held credential go on."""
    with opened_house() as house:
        from signer.holders import lifecycle

        lifecycle.resume(house.desk, credential, now=now(), by=operator())
    say("✓ Đã cho dùng lại.", "✓ Released.")


@app.command("keeper")
def name_keeper(
    credential: CredentialId,
    holder: Annotated[str, typer.Argument(help="CCCD:… of the clerk who keeps it")],
) -> None:
    """Write down who keeps an agency's seal that was enrolled without it."""
    with opened_house() as house:
        from signer.holders import keepers

        keepers.name_first(house.desk, credential, keeper=holder, now=now(), by=operator())
    say("✓ Đã ghi người giữ con dấu.", "✓ The keeper is written down.")


@app.command("hand-over")
def hand_over(
    credential: CredentialId,
    given_by: Annotated[str, typer.Option(help="CCCD:… of the keeper who gives it away")],
    received_by: Annotated[str, typer.Option(help="CCCD:… of the keeper who receives it")],
    number: Annotated[str, typer.Option(help="Number of the written permission")],
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Its day")],
    signer: Annotated[str, typer.Option(help="Who signed it")],
    document: Annotated[Path, typer.Option(help="The permission itself")],
    pin_file: PinFile = None,
) -> None:
    """Pass an agency's key to another keeper; prints the one-time activation code."""
    paper = read_file(document)
    pin = ask_pin("PIN", pin_file)
    with opened_house() as house:
        from signer.holders import handovers
        from signer.holders.handout import new_code

        code = new_code()
        handovers.hand_over(
            house.desk,
            credential,
            pin=pin,
            given_by=given_by,
            received_by=received_by,
            permission=handovers.Permission(number, day.date(), signer, paper),
            activation_code=code,
            now=now(),
            by=operator(),
        )
    say(f"✓ Đã bàn giao. Mã kích hoạt: {code}", f"✓ Handed over. Activation code: {code}")
