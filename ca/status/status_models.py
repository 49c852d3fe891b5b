"""The rows behind CRLs, OCSP answers and time-stamps.

A status change is written once and never altered; lists and answers are made from the changes.
`sequence` counts the changes of one issuer without gaps, in the order in which they were
committed, because each change takes the issuer's counter row first. So "everything after 41" is
an exact question, on PostgreSQL too, and a list that says it covers 42 covers all up to 42.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime


class CrlState(StrEnum):
    """`OPEN` after a crash means: this number was taken and no list with it was ever served."""

    OPEN = "open"
    ISSUED = "issued"
    VOID = "void"


class StatusCounterRow(Base):
    """The last status change and the last CRL number of an issuer."""

    __tablename__ = "ca_status_counters"

    issuer: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    last_crl_number: Mapped[int] = mapped_column(BigInteger, default=0)


class StatusChangeRow(Base):
    """One revocation, suspension or resumption, with its CRL entry encoded once and for all."""

    __tablename__ = "ca_status_changes"
    __table_args__ = (Index("ca_status_changes_by_serial", "issuer", "serial"),)

    issuer: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    serial: Mapped[str] = mapped_column(String(40))
    shard: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(String(32))
    entry: Mapped[bytes] = mapped_column(LargeBinary)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CrlRow(Base):
    """A CRL: first what is about to be signed, then the list as published.

    `scope` is `complete`, `delta` or `shard-7`. Numbers rise per issuer over all scopes; a delta
    and the complete list made with it share one (RFC 5280 §5.2.4). `der` of superseded lists is
    dropped after a while, the digest stays.
    """

    __tablename__ = "ca_crls"
    __table_args__ = (Index("ca_crls_newest", "issuer", "scope", "state", "number"),)

    issuer: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    base: Mapped[int | None] = mapped_column(BigInteger)
    sequence: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(8), default=CrlState.OPEN.value)
    this_update: Mapped[datetime] = mapped_column(UtcDateTime)
    next_update: Mapped[datetime] = mapped_column(UtcDateTime)
    entries: Mapped[int] = mapped_column(Integer)
    tbs_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    der: Mapped[bytes | None] = mapped_column(LargeBinary)


class CrlShardRow(Base):
    """How many certificates of an issuer have been given a place in its shards."""

    __tablename__ = "ca_crl_shards"

    issuer: Mapped[str] = mapped_column(String(64), primary_key=True)
    issued: Mapped[int] = mapped_column(BigInteger)


class OcspAnswerRow(Base):
    """A pre-signed answer for a certificate that is asked about often (RFC 5019 §2.2).

    `cert_id` is the requester's CertID as encoded, so that SHA-1 and SHA-256 askers both find
    theirs; a status change deletes the rows of its serial in the same transaction.
    """

    __tablename__ = "ca_ocsp_answers"
    __table_args__ = (Index("ca_ocsp_answers_by_serial", "issuer", "serial"),)

    issuer: Mapped[str] = mapped_column(String(64), primary_key=True)
    cert_id: Mapped[bytes] = mapped_column(LargeBinary(256), primary_key=True)
    serial: Mapped[str] = mapped_column(String(40))
    this_update: Mapped[datetime] = mapped_column(UtcDateTime)
    next_update: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    der: Mapped[bytes] = mapped_column(LargeBinary)


class TimeStampRow(Base):
    """One time-stamp in the log: what was stamped and when, never by whom or what it contains."""

    __tablename__ = "ca_time_stamps"
    __table_args__ = (Index("ca_time_stamps_by_imprint", "imprint"),)

    tsa: Mapped[str] = mapped_column(String(64), primary_key=True)
    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(8))
    imprint: Mapped[bytes] = mapped_column(LargeBinary(64))
    gen_time: Mapped[datetime] = mapped_column(UtcDateTime)
