"""How results leave this house: webhooks of clients, e-mail with a link, the national store.

Each is a `certify.stores.deliveries.Carrier`: it raises what it meets, and the delivery is tried
again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from api.adapters.timed_connection import exchange
from api.csc.outbox import Message, SpoolOutbox
from api.house import House
from api.settings import Settings, read_secret
from api.webhook_models import WebhookRow
from certify.kinds import kind
from certify.models import CopyRow
from certify.office import Office
from certify.stores import deliveries, sharing, store
from certify.stores.deliveries import CANCELLED, ISSUED, Carrier, Delivery
from certify.stores.sharing import LINK, Recipient
from certify.units import unit as find_unit
from records.database import Database

_SECONDS = 10.0
_STORE_SECONDS = 60.0  # the file travels with it
LINK_LIVES = timedelta(days=30)


class NotTaken(Exception):
    """The receiver answered, and did not take it."""


def webhook_secret(settings: Settings, client_id: str, version: int) -> str:
    """A client's own secret, derived from this instance's: nothing to steal from the tables."""
    root = read_secret(settings.secrets / "access-token.pem").encode()
    info = f"dauso webhook v1 {client_id} {version}".encode()
    return "whsec_" + base64.b64encode(hmac.digest(root, info, hashlib.sha256)).decode()


class WebhookCarrier:
    """POST as JSON, signed as Standard Webhooks 1.0 says; 2xx is taken, 410 ends it."""

    way = deliveries.WEBHOOK

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings

    def carry(self, delivery: Delivery, *, now: datetime) -> None:
        with self._database.reading() as session:
            row = session.get(WebhookRow, delivery.target)
        if row is None:
            return  # a client that wants to be told nothing
        body: dict[str, Any] = {
            "type": delivery.event,
            "timestamp": now.isoformat(),
            "data": dict(delivery.payload),
        }
        text = json.dumps(body, ensure_ascii=False)
        secret = webhook_secret(self._settings, row.client_id, row.version)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(delivery.key, now, text),
        }
        status = exchange("POST", row.url, text.encode(), headers, seconds=_SECONDS)
        if status != HTTPStatus.GONE and not 200 <= status < 300:
            raise NotTaken(status)


class MailCarrier:
    """An e-mail that leads to the copy by a link of its own; the file itself never travels."""

    way = deliveries.MAIL

    def __init__(self, office: Office, send: Callable[[str, str, str, datetime], None]) -> None:
        self._office, self._send = office, send

    def carry(self, delivery: Delivery, *, now: datetime) -> None:
        said = delivery.payload
        unit = find_unit(str(said["unit"])).committee
        name = kind(str(said["document_kind"])).name("vi")
        if delivery.event != ISSUED:
            status = "đã bị hủy" if delivery.event == CANCELLED else "đã được thay thế"
            text = (
                f"Bản sao chứng thực {name} (mã {said['code']}) do {unit} cấp {status}.\n"
                f"Xem: {said['verification_url']}\n\n"
                f"The certified copy {said['code']} is no longer in force: {said['status']}.\n"
            )
            self._send(delivery.target, f"Bản sao chứng thực {status}", text, now)
            return
        link, grant_id, owner = self._link(delivery, now=now)
        text = (
            f"{unit} đã cấp bản sao điện tử có chứng thực: {name}, mã {said['code']}.\n\n"
            f"Tải về tại: {link}\n"
            f"Liên kết này dùng được đến {now + LINK_LIVES:%d/%m/%Y}; mỗi lần mở đều được ghi lại. "
            "Bản sao cũng có trong kho dữ liệu điện tử của ông/bà.\n\n"
            f"Your certified copy is ready: {link}\n"
        )
        try:
            self._send(delivery.target, f"Bản sao điện tử có chứng thực: {name}", text, now)
        except Exception:
            # Nobody got this link: the next try makes another.
            sharing.revoke(self._office, grant_id, owner_id=owner, now=now, by="system:deliveries")
            raise

    def _link(self, delivery: Delivery, *, now: datetime) -> tuple[str, str, str]:
        """A grant for this address; made when the mail is, so that no code lies in the tables."""
        office = self._office
        with office.database.reading() as session:
            owner = session.get_one(CopyRow, delivery.copy_id).owner_id
        shared = sharing.share(
            office,
            str(delivery.payload["item"]),
            owner_id=owner,
            recipient=Recipient("person", f"{LINK}{delivery.target}"[:128], delivery.target),
            purpose="giao kết quả qua thư điện tử",
            expires_at=now + LINK_LIVES,
            now=now,
            by="system:deliveries",
        )
        return f"{office.base_url.rstrip('/')}/d/{shared.code}", shared.grant.id, owner


class NationalStoreCarrier:
    """The national store of citizens' documents: new copies with their bytes, later their status.

    PUT {url}/documents/{code}: the field names are our own reading of DOMAIN.md §4 and §5 until
    the platform publishes its interface.
    """

    way = deliveries.NATIONAL_STORE

    def __init__(self, office: Office, url: str, *, token: str = "") -> None:
        self._office, self._url = office, url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def carry(self, delivery: Delivery, *, now: datetime) -> None:
        said = delivery.payload
        body: dict[str, Any] = {
            "indicator": "SYNCED_WITH_DVCQG_PERSONAL_STORAGE",
            "event": delivery.event,
            "owner_id": delivery.target,
            "agency_code": said["agency_code"],
            "procedure_code": "2.000815",
            "dossier_code": said.get("dossier_code"),
            "document_kind": said["document_kind"],
            "document_kind_name": kind(str(said["document_kind"])).name("vi"),
            "code": said["code"],
            "issued_on": said["issued_on"],
            "digest": {"algorithm": "SHA-256", "value": said["digest"]},
            "status": said["status"],
            "status_since": said["status_since"],
            "replaced_by": said["replaced_by"],
            "verification_url": said["verification_url"],
        }
        if delivery.event == ISSUED:
            copy = store.fetch(
                self._office,
                str(said["item"]),
                owner_id=delivery.target,
                purpose="đồng bộ kho dữ liệu quốc gia",
                now=now,
                by="system:national-store",
            )
            body["content"] = base64.b64encode(copy).decode()
        headers = self._headers | {
            "Content-Type": "application/json",
            "Idempotency-Key": hashlib.sha256(delivery.key.encode()).hexdigest(),
        }
        address = f"{self._url}/documents/{said['code']}"
        data = json.dumps(body, ensure_ascii=False).encode()
        status = exchange("PUT", address, data, headers, seconds=_STORE_SECONDS)
        if not 200 <= status < 300:
            raise NotTaken(status)


def carriers_of(house: House) -> list[Carrier]:
    """Webhooks and mail always; the national store when the settings name it."""
    settings = house.settings
    found: list[Carrier] = [
        WebhookCarrier(house.database, settings),
        MailCarrier(house.office, mailer(settings)),
    ]
    if settings.national_store_url is not None:
        path = settings.secrets / "national-store.token"
        token = read_secret(path) if path.exists() else ""
        found.append(NationalStoreCarrier(house.office, settings.national_store_url, token=token))
    return found


def mailer(settings: Settings) -> Callable[[str, str, str, datetime], None]:
    """To the SMTP server that the settings name, else to the spool that a gateway empties."""
    if settings.smtp_url is None:
        spool = SpoolOutbox(settings.home / "outbox")
        return lambda to, subject, text, now: spool.send(
            Message(to=to, subject=subject, text=text, until=now + LINK_LIVES), now=now
        )
    path = settings.secrets / "smtp.password"
    password = read_secret(path) if path.exists() else ""
    return SmtpMailer(settings.smtp_url, settings.mail_from, password)


class SmtpMailer:
    """RFC 5321 with TLS: `smtps://` from the start, `smtp://` by STARTTLS but on this machine."""

    def __init__(self, url: str, sender: str, password: str) -> None:
        parts = urlsplit(url)
        self._host, self._user = parts.hostname or "", parts.username or ""
        self._implicit = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._implicit else 587)
        self._local = self._host in {"127.0.0.1", "::1", "localhost"}
        self._sender, self._password = sender, password

    def __call__(self, to: str, subject: str, text: str, now: datetime) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._sender, to, subject
        mail["Date"] = now
        mail.set_content(text)
        with self._connected() as server:
            if self._user:
                server.login(self._user, self._password)
            server.send_message(mail)

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._implicit:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_SECONDS, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=_SECONDS)
        if not self._local:
            server.starttls(context=context)
        return server
