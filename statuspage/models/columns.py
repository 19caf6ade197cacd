"""What the tables have in common: names of constraints, public ids, columns of words."""

import secrets
import string
from typing import Any

from sqlalchemy import BigInteger, Enum, Integer, String
from sqlalchemy.orm import mapped_column

from statuspage.db import Base

Base.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

ID_LENGTH = 12
_ID_LETTERS = string.digits + string.ascii_lowercase

# SQLite counts rows by itself only in a column it calls INTEGER.
BIG = BigInteger().with_variant(Integer, "sqlite")


def new_id() -> str:
    """Return a fresh public id: 12 of [0-9a-z], as clients of Statuspage expect."""
    # One draw: twelve cost more than all else about a row that is imported.
    number = secrets.randbelow(len(_ID_LETTERS) ** ID_LENGTH)
    letters = []
    for _ in range(ID_LENGTH):
        number, place = divmod(number, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[place])
    return "".join(letters)


def words(kind: type, name: str) -> Enum:
    """Return the type of a column of one enum's values, kept as text under a check constraint."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        length=20,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


def id_column() -> Any:
    """Return a primary key that makes its own public id."""
    return mapped_column(String(ID_LENGTH), primary_key=True, default=new_id)
