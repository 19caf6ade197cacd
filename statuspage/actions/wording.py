"""Words that only this installation knows, and what was posted although it was marked."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from statuspage.actions.ledger import audit
from statuspage.db import db, transaction
from statuspage.models import Account, Component, ComponentGroup, OwnWord, Page, WordingOverride
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import NotFound, RuleBroken
from statuspage.rules.wording import OwnWords, has_words

WORD_LIMIT = 80


def own_words() -> OwnWords:
    """Return the words of this installation: what administrators added, components, people."""
    session = db.session()
    added = session.execute(select(OwnWord.word, OwnWord.is_allowed)).all()
    # Customers know what is on the page: its own name, its components, their groups.
    known = (
        select(Component.name).where(Component.archived_at.is_(None)),
        select(ComponentGroup.name),
        select(Page.name),
    )
    names = [name for query in known for name in session.scalars(query)]
    return OwnWords(
        internal=tuple(word for word, is_allowed in added if not is_allowed),
        allowed=(*(word for word, is_allowed in added if is_allowed), *names),
        people=tuple(session.scalars(select(Account.name))),
    )


def listed_words() -> Sequence[OwnWord]:
    """Return what administrators added, by word."""
    return db.session.scalars(select(OwnWord).order_by(OwnWord.word)).all()


def add_word(text: str, is_allowed: bool, by: str, now: datetime) -> None:
    """Add a word that customers know, or the name of something that they don't.

    Raises RuleBroken on ``word`` if it can't be one or is there already.
    """
    word = " ".join(check_line("word", text, WORD_LIMIT).split()).lower()
    if not has_words(word):
        raise RuleBroken({"word": "Please give a word or a name, with letters or digits in it."})
    with transaction(now) as session:
        if session.scalar(select(OwnWord.id).where(OwnWord.word == word)) is not None:
            raise RuleBroken({"word": f"“{word}” is in one of the lists already: remove it there first."})
        session.add(OwnWord(word=word, is_allowed=is_allowed, created_at=now, created_by_id=by))
        audit(session, by, "add_word", "word", word[:40], now, word=word, is_allowed=is_allowed)


def remove_word(word_id: str, by: str, now: datetime) -> None:
    """Take a word out of its list. Raises NotFound."""
    with transaction(now) as session:
        found = session.get(OwnWord, word_id)
        if found is None:
            raise NotFound("word")
        session.delete(found)
        audit(session, by, "remove_word", "word", found.word[:40], now, word=found.word, is_allowed=found.is_allowed)


def overrides_of(subject_kind: str, subject_ids: Sequence[str]) -> dict[str, list[WordingOverride]]:
    """Return what was posted as it was, by the text's id, the oldest first."""
    query = select(WordingOverride).where(
        WordingOverride.subject_kind == subject_kind, WordingOverride.subject_id.in_(subject_ids)
    )
    found: dict[str, list[WordingOverride]] = {}
    for each in db.session.scalars(query.order_by(WordingOverride.id)):
        found.setdefault(each.subject_id, []).append(each)
    return found
