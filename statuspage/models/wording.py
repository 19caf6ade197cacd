"""Plain language: the words only this installation knows, and what was posted although it was marked."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import JSON, Boolean, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, ID_LENGTH, id_column

if TYPE_CHECKING:
    from statuspage.models.people import Account


class OwnWord(Base):
    """A word of this installation: one that customers know, or the name of something that they don't."""

    __tablename__ = "own_words"

    id: Mapped[str] = id_column()
    word: Mapped[str] = mapped_column(String(80), unique=True)
    """In lower case."""
    is_allowed: Mapped[bool] = mapped_column(Boolean)
    """Whether customers know it; otherwise it is marked."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))


class WordingOverride(Base):
    """Ledger: a text went out as it was although words in it were marked. Rows are only ever added."""

    __tablename__ = "wording_overrides"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(20))
    """``update``, ``document`` or ``maintenance``."""
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    incident_id: Mapped[str | None] = mapped_column(ForeignKey("incidents.id"), index=True)
    """None for maintenance."""
    words: Mapped[list[str]] = mapped_column(JSON)
    """What was marked, in the text's order."""
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    overridden_at: Mapped[datetime] = mapped_column(UtcDateTime)

    account: Mapped["Account | None"] = relationship(lazy="joined")

    __table_args__ = (Index("ix_wording_overrides_subject", "subject_kind", "subject_id"),)
