"""JSON from files that others may have written: what it has to be is a type."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec


class Unlike(ValueError):
    """What a file holds is not what it has to be.

    Attributes:
        field: the first one that is wrong, with dots; "all of it" if there is none.
        reason: what is wrong with it.
    """

    def __init__(self, said: str) -> None:
        self.reason, self.field = _wrong(said)
        super().__init__(f"{self.field} is wrong ({self.reason})")


def conforming(content: bytes | str, schema: Any) -> Any:
    """What JSON holds, in Python's own types, with the fields that the schema does not know.

    Args:
        content: as it lies in a file.
        schema: a type, as `msgspec` takes it.

    Raises:
        Unlike: it is another.
        ValueError: it is no JSON, or nested too deep.
    """
    try:
        found = json.loads(content)  # msgspec's own takes no file names that are not UTF-8
    except RecursionError:
        raise ValueError("nested too deep") from None
    require(found, schema)
    return found


def require(found: Any, schema: Any) -> None:
    """Refuses what does not conform to a schema.

    Raises:
        Unlike: it does not.
    """
    try:
        msgspec.convert(found, schema)
    except msgspec.ValidationError as error:
        raise Unlike(str(error)) from None


def _wrong(said: str) -> tuple[str, str]:
    """What `msgspec` says of a value -> what is wrong, and the field's name with dots.

    >>> _wrong("Expected `int`, got `str` - at `$.data.shape[2]`")
    ('expected int, got str', 'data.shape')
    >>> _wrong("Object missing required field `seed`")
    ('it is missing', 'seed')
    """
    reason, _, place = said.replace("`", "").partition(" - at $")
    place = re.sub(r"\[.*?\]", "", place).lstrip(".")
    if missing := re.fullmatch(r"Object missing required field (\w+)", reason):
        return "it is missing", ".".join(filter(None, (place, missing[1])))
    return reason[:1].lower() + reason[1:], place or "all of it"
