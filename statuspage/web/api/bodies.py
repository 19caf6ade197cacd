"""What a request's body says: JSON or a form, wrapped in its resource's name or bare, checked field by field."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NoReturn

from flask import request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from statuspage.rules.times import parse_instant
from statuspage.rules.vocabulary import Choice, RuleBroken
from statuspage.web.api.routes import Unreadable

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MOST_IN_A_LIST = 100
LARGEST_NUMBER = 2**31 - 1
DEEPEST_FORM = 4

# What no column can hold: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_FORM_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


class Fields:
    """The fields of a body; every mistake is noted, so that all are told at once."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.errors: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Tell whether the field says something; null says nothing."""
        return self._values.get(name) is not None

    def names(self, name: str) -> bool:
        """Tell whether the body names the field, if only to say null."""
        return name in self._values

    def refuse(self, name: str, sentence: str) -> None:
        """Note what is wrong with a field; the first word about it stands."""
        self.errors.setdefault(name, sentence)

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note what a check inside the block refuses, and go on behind it."""
        try:
            yield
        except RuleBroken as broken:
            for name, sentence in broken.errors.items():
                self.refuse(name, sentence)

    def done(self) -> None:
        """Raise RuleBroken if anything was wrong."""
        if self.errors:
            raise RuleBroken(self.errors)

    def text(self, name: str, otherwise: str = "") -> str:
        """Return a text; ``otherwise`` if the field says nothing."""
        value = self._values.get(name)
        if value is None:
            return otherwise
        if not isinstance(value, str):
            self.refuse(name, "Please give a text.")
            return otherwise
        return value

    def choice(self, name: str, kind: type[Choice]) -> Choice | None:
        """Return a word of a list; None if the field says nothing."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or value not in set(kind):
            self.refuse(name, f"Please give one of {', '.join(kind)}.")
            return None
        return kind(value)

    def instant(self, name: str) -> datetime | None:
        """Return an instant; None if the field says nothing."""
        value = self._values.get(name)
        if value is None:
            return None
        instant = parse_instant(value) if isinstance(value, str) else None
        if instant is None:
            self.refuse(name, "Please give a date and time with its offset, like 2026-11-21T14:30:00Z.")
        return instant

    def flag(self, name: str) -> bool | None:
        """Return true or false; None if the field says nothing."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        # A form has words only.
        known = {"true": True, "1": True, "false": False, "0": False}
        if not isinstance(value, str) or value not in known:
            self.refuse(name, "Please give true or false.")
            return None
        return known[value]

    def number(self, name: str) -> int | None:
        """Return a whole number that is not negative; None if the field says nothing."""
        value = self._values.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
            self.refuse(name, "Please give a whole number.")
            return None
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object by its keys; empty if the field says nothing."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(name, "Please give an object.")
            return {}
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; empty if the field says nothing."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.refuse(name, "Please give a list of texts.")
            return []
        return value


def read(name: str) -> Fields:
    """Return the fields of the request's body. Raises Unreadable, or RuleBroken for what nothing can hold."""
    return Fields(read_object(name))


def read_object(name: str) -> dict[str, Any]:
    """Return the object in the request's body, taken out of its wrapper ``name``, if it has one.

    Raises Unreadable if there is none, RuleBroken if it holds what nothing can hold.
    """
    written = request.get_data()
    # A body of no announced length ends, without a word, where the limit is.
    if len(written) >= (request.max_content_length or len(written) + 1):
        raise RequestEntityTooLarge
    # curl says "form" of everything it is not told about.
    is_form = request.mimetype in FORMS and not written.lstrip().startswith(b"{")
    body = _from_form(request.form) if is_form else _from_json(written)
    inner = body.get(name, body)
    if not isinstance(inner, dict):
        raise RuleBroken({name: "Please give an object."})
    _check_texts(inner)
    return inner


def _from_json(written: bytes) -> dict[str, Any]:
    try:
        body = json.loads(written.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except RecursionError:
        raise Unreadable("This JSON is nested too deeply.") from None
    except ValueError:
        raise Unreadable("This body is no JSON.") from None
    if not isinstance(body, dict):
        raise Unreadable("Please send a JSON object.")
    return body


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unreadable("A key is given twice in this JSON.")
    return made


def _no_constant(_name: str) -> NoReturn:
    """NaN and Infinity are no JSON (RFC 8259, 6)."""
    raise ValueError


def _from_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what ``incident[components][ID]=…`` and ``incident[component_ids][]=…`` stand for."""
    body: dict[str, Any] = {}
    for name, values in form.lists():
        match = _FORM_NAME.fullmatch(name)
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else []
        is_list = path[-1:] == [""]
        keys = path[:-1] if is_list else path
        if not keys or "" in keys or len(path) > DEEPEST_FORM:
            raise Unreadable("A name in this form can't be read: please write it like incident[name].")
        place = body
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise Unreadable("A name in this form is given in two ways.")
        if keys[-1] in place:
            raise Unreadable("A name in this form is given in two ways.")
        place[keys[-1]] = values if is_list else values[-1]
    if not body:
        raise Unreadable("This form is empty.")
    return body


def _check_texts(body: dict[str, Any]) -> None:
    """Refuse what no database can hold, however deep it lies (without recursion: it may lie deep)."""
    for name, value in body.items():
        waiting: list[Any] = [name, value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, str) and _UNSTORABLE.search(each):
                raise RuleBroken({_UNSTORABLE.sub("?", name): "Please remove the characters that are none."})
            if isinstance(each, dict):
                waiting += [*each.keys(), *each.values()]
            elif isinstance(each, list):
                waiting += each


def paging(*, most: int = MOST_IN_A_LIST) -> tuple[int, int]:
    """Return limit and offset as the query asks for them; both of Statuspage's words are taken.

    Raises RuleBroken for what is no number.
    """
    fields = Fields(request.args.to_dict())
    limit = fields.number("limit")
    limit = limit if limit is not None else fields.number("per_page")
    page = fields.number("page")
    fields.done()
    size = min(limit, most) if limit else most
    return size, (max(page or 1, 1) - 1) * size


def query_text(name: str) -> str:
    """Return a word of the query. Raises RuleBroken if no database could hold it."""
    value = request.args.get(name, "").strip()
    _check_texts({name: value})
    return value
