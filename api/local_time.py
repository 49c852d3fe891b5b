"""How times are shown to people: Vietnam's time, whatever the server's zone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))


def shown(moment: datetime) -> str:
    """`dd-mm-yyyy hh:mm:ss +07:00`, as decree 30/2020 writes it."""
    return moment.astimezone(VIETNAM).strftime("%d-%m-%Y %H:%M:%S +07:00")


def shown_date(moment: datetime) -> str:
    """`dd/mm/yyyy` in Vietnam."""
    return moment.astimezone(VIETNAM).strftime("%d/%m/%Y")
