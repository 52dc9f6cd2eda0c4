"""Lists of locations: from arguments, and from text, CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from .._internal import checks
from .._internal.paths import read_bounded
from ..models import Location

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

_ID_NAMES = ("location_id", "locationId", "location id", "location", "id", "_id")
_FILE_NAME = re.compile(r"[^\n,{\[]*(?:[/\\].*|\.(?:csv|tsv|txt|jsonl?|ndjson))", re.IGNORECASE)
_NAME_NAMES = ("location_name", "locationName", "location name", "name")


async def unique_locations(
    given: Iterable[Location | str] | AsyncIterable[Location | str],
) -> list[Location]:
    """Returns the locations in order, each once.

    `given` has ids or `Location`s, such as those of `client.locations`. Raises `TypeError` for
    anything else, and `ValueError` if it is empty or has an invalid id.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable | AsyncIterable):
        raise TypeError("locations must be several ids or Locations")
    found: dict[str, Location] = {}
    if isinstance(given, AsyncIterable):
        async for one in given:
            _keep(found, _location(one))
    else:
        for one in given:
            _keep(found, _location(one))
    if not found:
        raise ValueError("there are no locations to audit")
    return list(found.values())


def read_locations(text: str | Path, source: str | None = None) -> list[Location]:
    r"""Reads locations from text or a file: one id per line, CSV with a header, or JSON lines.

    - `text`: the text, or the `Path` of a file in UTF-8.
    - `source`: the name of the text in error messages.

    The first line determines the format. In CSV and JSON the id is called `location_id`,
    `locationId` or `id`, and the name `name` or `location_name`. Other columns are ignored, as are
    empty lines and lines that begin with `#`.

    >>> [location.id for location in read_locations("abc\n# a comment\ndef\n")]
    ['abc', 'def']
    >>> read_locations('{"id": "abc", "name": "Dental Care"}')[0].name
    'Dental Care'

    Raises `ValueError` with the number of a bad line, and `OSError` if a file cannot be opened.
    """
    if source is None:
        source = str(text) if isinstance(text, Path) else "the list"
    checks.string("source", source)
    content = _read(text, source).removeprefix("\ufeff")
    lines = [
        (number, line)
        for number, line in enumerate(content.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        return []
    first = lines[0][1].lstrip()
    if first.startswith(("{", '"{', "[")):
        return [_from_json(line, f"{source}, line {number}") for number, line in lines]
    rows = csv.reader(io.StringIO("\n".join(line for _, line in lines)))
    try:
        columns = next(csv.reader([first]))
        if len(columns) > 1 or _column_index(columns, _ID_NAMES) is not None:
            return list(_from_csv(rows, source))
    except csv.Error as error:
        raise ValueError(f"{source}: row {max(rows.line_num, 1)}: {error}") from None
    return [Location(line.strip()) for _, line in lines]


def _read(text: str | Path, source: str) -> str:
    if isinstance(text, Path):
        return read_bounded(text, source)
    content = checks.string("text", text)
    if _FILE_NAME.fullmatch(content):
        raise ValueError(f"text is the name of a file: pass Path({content!r}) to read that file")
    return content


def _location(given: object) -> Location:
    if not isinstance(given, Location):
        return Location(checks.identifier("locations", given))
    # A `Location` may come from the service: if its id is invalid, its calls fail, and no other
    # location suffers. Only a lone surrogate cannot be stored; responses never contain one.
    for text in (given.id, given.name or ""):
        try:
            checks.string("locations", text).encode()
        except UnicodeEncodeError:
            raise ValueError("locations holds a lone surrogate") from None
    return given


def _keep(found: dict[str, Location], location: Location) -> None:
    found.setdefault(location.id, location)


def _from_json(line: str, source: str) -> Location:
    try:
        value = json.loads(line)
    except ValueError:
        raise ValueError(f"{source}: not JSON") from None
    except RecursionError:
        raise ValueError(f"{source}: nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"{source}: not a JSON object")  # noqa: TRY004  # the text is wrong
    found = _first_value(value, _ID_NAMES)
    if not _is_text(found):
        raise ValueError(f"{source}: no location_id")
    name = _first_value(value, _NAME_NAMES)
    return Location(found.strip(), name if _is_text(name) else None)


def _from_csv(rows: CsvReader, source: str) -> Iterator[Location]:
    header = next(rows)
    id_column, name_column = _column_index(header, _ID_NAMES), _column_index(header, _NAME_NAMES)
    if id_column is None:
        raise ValueError(f"{source}: no column is called location_id or id")
    for row in rows:
        found = row[id_column].strip() if id_column < len(row) else ""
        if not found:
            raise ValueError(f"{source}: row {rows.line_num} has no location_id")
        name = row[name_column] if name_column is not None and name_column < len(row) else ""
        yield Location(found, name or None)


def _column_index(columns: list[str], names: tuple[str, ...]) -> int | None:
    """Returns the index of the first of `names` that is a column, in any case."""
    spelled = [column.strip().casefold() for column in columns]
    return next((spelled.index(n.casefold()) for n in names if n.casefold() in spelled), None)


def _first_value(value: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((value[name] for name in names if name in value), None)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())
