"""What a draft keeps: not the whole form, only what its writer made different from what it suggested.

So a draft that is opened an hour later promises its next update from then on,
and follows a stage that somebody else has set meanwhile.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from statuspage.rules import documents
from statuspage.rules.messages import FIELDS
from statuspage.rules.times import parse_typed_instant
from statuspage.rules.vocabulary import ComponentState, DocumentKind, MessageKind

# More than any field takes, so that what is too long is kept until it is shortened.
LONGEST = 10_000
REASON = "next_update_reason"
STATE = "state_"


def changes(kind: MessageKind, typed: Mapping[str, str], suggested: Mapping[str, str]) -> dict[str, str]:
    """Return what of a message's form is not as it was suggested, by the name of its control."""
    instants = {field.name for field in FIELDS[kind] if field.kind == "instant"}
    found = {}
    for name, value in typed.items():
        if _is_kept(kind, name, value):
            plain, first = _plain(value), _plain(suggested.get(name, ""))
            is_same = _moment(plain) == _moment(first) if name in instants else plain == first
            if not is_same:
                found[name] = plain[:LONGEST]
    return found


def fingerprint(text: str) -> str:
    """Return what tells a text of a form from another one, 16 characters long."""
    return hashlib.sha256(_plain(text).encode()).hexdigest()[:16]


def document_changes(kind: DocumentKind, typed: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, str]:
    """Return what of a text's form is not as it was shown, by the name of its control.

    ``shown`` are the fingerprints; a field that was not posted was not changed.
    """
    plain = {field.name: _plain(typed[field.name]) for field in documents.FIELDS[kind] if field.name in typed}
    return {name: text[:LONGEST] for name, text in plain.items() if fingerprint(text) != shown.get(name)}


def _is_kept(kind: MessageKind, name: str, value: str) -> bool:
    if name.startswith(STATE):
        return value in ("", *ComponentState)
    return name == REASON or name in {field.name for field in FIELDS[kind]}


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _moment(text: str) -> datetime | str:
    """The same minute may be typed with its seconds or without."""
    return parse_typed_instant(text) or text
