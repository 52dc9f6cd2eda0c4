"""The legible fields of a JSON object that no decoder takes as a whole.

A decoder refuses a document for a number that is too large, or for a value that is nested too
deeply. A token response must not be lost for that, as it may be the only one.
"""

from __future__ import annotations

import re
from typing import Any

from .responses import decode_json

# A string, which may be cut off, a structural character, or any other word.
_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[][{}:,]|[^][{}:,"\s]+', re.DOTALL)

_ENDS = {"{": "}", "[": "]"}

# No envelope has more levels.
_DEEPEST = 10


def legible(text: str, depth: int = 0) -> tuple[dict[str, Any], bool]:
    """Returns the fields of an object, and whether its brackets match up to its end.

    Each field is decoded by itself, and is `...` if it cannot be; of an object under `data` what is
    legible is kept.
    """
    pieces, is_whole = _pieces(text)
    fields: dict[str, Any] = {}
    for name, sign, value in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if sign == ":" and isinstance(key := _decoded(name), str):
            fields[key] = _decoded(value)
            if key == "data" and fields[key] is ... and depth < _DEEPEST:
                fields[key], _ = legible(value, depth + 1)
    return fields, is_whole


def _pieces(text: str) -> tuple[list[str], bool]:
    """The names, signs and values of an object, each array or object as one piece."""
    pieces: list[str] = []
    ends: list[str] = []
    start = 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece in _ENDS:
            start = match.start() if len(ends) == 1 else start
            ends.append(_ENDS[piece])
        elif not ends or ends[0] == "]":
            break  # no object
        elif piece in _ENDS.values():
            if ends.pop() != piece:
                break
            if not ends:
                return pieces, True
            if len(ends) == 1:
                pieces.append(text[start : match.end()])
        elif len(ends) == 1:
            pieces.append(piece)
    return [*pieces, text[start:]], False


def _decoded(piece: str) -> Any:
    try:
        return decode_json(piece.encode())
    except ValueError:
        return ...
