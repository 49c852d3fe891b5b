"""The keys that sign the QR codes of a unit's copies."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime


class CodeKeyRow(Base):
    """One key pair of one unit: wrapped under the token's key, certified by the services' CA."""

    __tablename__ = "certify_code_keys"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    certificate: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    serial: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
