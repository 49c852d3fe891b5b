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


_WEEKDAYS = {
    "vi": ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ Nhật"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}


def shown_hour(moment: datetime) -> str:
    """`hh:mm` in Vietnam."""
    return moment.astimezone(VIETNAM).strftime("%H:%M")


def shown_day(moment: datetime, language: str) -> str:
    """`Thứ Ba, 24/11/2026`: what people need to come on the right day."""
    day = moment.astimezone(VIETNAM)
    return f"{_WEEKDAYS[language][day.weekday()]}, {day:%d/%m/%Y}"
