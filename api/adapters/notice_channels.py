"""Ways out for notices: the spool that a mail gateway empties, and a signed webhook."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
from standardwebhooks import Webhook

from api.csc.outbox import Message, Outbox, SpoolOutbox
from api.local_time import VIETNAM
from api.notices import Channel, Notice
from api.settings import Settings, read_secret

_OF_USE = timedelta(days=60)


class SpoolChannel:
    """E-mail through the gateway's spool; a holder without an address is told by their unit."""

    name = "mail"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def send(self, notice: Notice, *, now: datetime) -> None:
        said = notice.payload
        if "mail" in said:  # whoever wrote the notice has said what people are to read
            self._outbox.send(Message(**said["mail"], until=now + _OF_USE), now=now)
            return
        until = datetime.fromisoformat(said["until"])
        to = said["email"] or f"unit:{said['unit'] or ''}"
        day = f"{until.astimezone(VIETNAM):%d/%m/%Y %H:%M}"
        self._outbox.send(
            Message(
                to=to,
                subject=f"Chứng thư số của {said['name']} hết hạn ngày {day}",
                text=(
                    f"Chứng thư số của {said['name']} (số {said['serial']}) hết hạn lúc {day} "
                    "giờ Việt Nam. Hãy đề nghị gia hạn hoặc cấp khóa mới trước thời điểm đó; "
                    "sau thời điểm đó không ký được nữa.\n\n"
                    f"The certificate of {said['name']} ends on {day}, Vietnam time. Ask for its "
                    "renewal or a new key before that; nothing can be signed after it.\n"
                ),
                until=min(until, now + _OF_USE),
            ),
            now=now,
        )


class WebhookChannel:
    """POST of the notice as JSON, signed as Standard Webhooks 1.0 says; 2xx is taken."""

    name = "webhook"

    def __init__(
        self, url: str, secret: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url, self._signer = url, Webhook(secret)
        self._client = httpx.Client(timeout=10.0, follow_redirects=False, transport=transport)

    def send(self, notice: Notice, *, now: datetime) -> None:
        body: dict[str, Any] = {
            "type": notice.payload["type"],
            "timestamp": now.isoformat(),
            "data": {key: one for key, one in notice.payload.items() if key != "mail"},
        }
        text = json.dumps(body, ensure_ascii=False)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": notice.key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(notice.key, now, text),
        }
        answer = self._client.post(self._url, content=text.encode(), headers=headers)
        answer.raise_for_status()
        if not answer.is_success:
            raise httpx.HTTPStatusError("redirected", request=answer.request, response=answer)


def channels_of(settings: Settings) -> list[Channel]:
    """The spool always; the webhook when the settings name one."""
    channels: list[Channel] = [SpoolChannel(SpoolOutbox(settings.home / "outbox"))]
    if settings.notice_url is not None:
        secret = read_secret(settings.secrets / "notice-webhook.secret")
        channels.append(WebhookChannel(settings.notice_url, secret))
    return channels
