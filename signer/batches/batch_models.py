"""What is kept of a batch: the job itself and one row for each document in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class BatchRow(Base):
    """One job. `state`: open (documents come in, are reviewed), running, paused, done, cancelled.

    It names its authorisation and holds neither PIN nor key: the key lies sealed in the
    authorisation and dies with it.
    """

    __tablename__ = "signer_batches"
    __table_args__ = (
        Index("ix_signer_batches_state", "state"),
        Index("ix_signer_batches_client", "client"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    client: Mapped[str] = mapped_column(Text)
    request: Mapped[Any] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    authorization_id: Mapped[str | None] = mapped_column(ForeignKey("signer_authorizations.id"))
    claimed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(Text)


class BatchItemRow(Base):
    """One document. `state`: waiting, left-out (unticked), signing, signed, refused, cancelled.

    `holder` and `lease_until` say which worker has it in hand; a lease that ran out means that the
    worker died, and the document waits again. `authorized` is its place in the authorisation.
    `pack` holds its bytes, `result_pack` what the signature appended
    (`signer.batches.batch_packs`).
    """

    __tablename__ = "signer_batch_items"
    __table_args__ = (
        UniqueConstraint("batch_id", "digest"),
        Index("ix_signer_batch_items_batch_id_state", "batch_id", "state"),
        Index("ix_signer_batch_items_state_lease_until", "state", "lease_until"),
    )

    batch_id: Mapped[str] = mapped_column(ForeignKey("signer_batches.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    pack: Mapped[str] = mapped_column(Text)
    pack_offset: Mapped[int] = mapped_column(BigInteger)
    pages: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    authorized: Mapped[int | None] = mapped_column(Integer)
    signature_id: Mapped[str | None] = mapped_column(Text)
    holder: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[str | None] = mapped_column(Text)
    result_pack: Mapped[str | None] = mapped_column(Text)
    result_offset: Mapped[int | None] = mapped_column(BigInteger)
    result_size: Mapped[int | None] = mapped_column(BigInteger)
    failure: Mapped[Any | None] = mapped_column(Json)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
