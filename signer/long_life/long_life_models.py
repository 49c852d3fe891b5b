"""What is kept of evidence records: the trees, and where each document stands in them.

A record is not stored: it is put together from its trees when somebody asks for it, so a document
costs one row and two digests, whatever happens in the decades to come.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime
from records.kept_files import KEEPS_FILE


class ArchiveTreeRow(Base):
    """One archive time-stamp over a hash tree (RFC 4998 §4).

    `kind`: documents (its leaves are data groups of a document and the companion), time-stamps
    (its leaves are the time-stamps of other trees: their renewal). `leaves` is the blob of all
    digests, `width` to a leaf. `renewed_by` and `renewed_at` name the tree of time-stamps that
    covers this one and the place in it; `superseded_by` the newer tree of its documents, which is
    about `closing_token` in place of the last time-stamp: the same, with its authority's status.
    """

    __tablename__ = "signer_archive_trees"
    __table_args__ = (Index("ix_signer_archive_trees_kind", "kind"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    algorithm: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    width: Mapped[int] = mapped_column(Integer)
    leaves: Mapped[str] = mapped_column(Text, info=KEEPS_FILE)
    companion: Mapped[str | None] = mapped_column(Text, info=KEEPS_FILE)
    token: Mapped[bytes] = mapped_column(LargeBinary)
    stamped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str] = mapped_column(Text)
    renewed_by: Mapped[str | None] = mapped_column(ForeignKey("signer_archive_trees.id"))
    renewed_at: Mapped[int | None] = mapped_column(Integer)
    superseded_by: Mapped[str | None] = mapped_column(ForeignKey("signer_archive_trees.id"))
    closing_token: Mapped[bytes | None] = mapped_column(LargeBinary)


class ArchivedDocumentRow(Base):
    """A document's place in a tree of documents; `generation` counts its hash-tree renewals."""

    __tablename__ = "signer_archived_documents"
    __table_args__ = (Index("ix_signer_archived_documents_tree_id", "tree_id"),)

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tree_id: Mapped[str] = mapped_column(ForeignKey("signer_archive_trees.id"))
    position: Mapped[int] = mapped_column(Integer)
