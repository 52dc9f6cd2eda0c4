"""Dialing: phone numbers in E.164 format, and the targets that calls are forwarded to."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from typing import Any, Final

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    format_number,
    is_valid_number,
    parse,
    region_code_for_number,
)

# Mexico (52), Argentina (54), Brazil (55): digits between calling code and number may be dialing
# prefixes. For +1 (1) the area code is checked too.
_CALLING_CODES: Final = "|".join(
    str(code) for code in sorted({*COUNTRY_CODE_TO_REGION_CODE} - {1, 52, 54, 55})
)
E164_PATTERN: Final = rf"\+(?:1[2-9][0-9]{{9}}|(?:{_CALLING_CODES})[1-9][0-9]{{4,12}})"
"""Matches numbers that are in E.164 format already: after the calling code comes no zero."""

_DIALED: Final = re.compile(
    r"\s*(?P<number>(?:tel:)?\+?[\d\s().\-/]{7,}?)\s*"
    r"(?:(?:;ext=|,,|[;,]?\s*(?:ext(?:ension)?|x|#)[.:\s]*)(?P<extension>\d{1,7}))?\s*",
    re.IGNORECASE,
)

_EMPTY_TYPES: Final = frozenset({"", "none", "null"})
_FORWARDING_TYPES: Final = frozenset({"forward", "forwarding", "callforward", "callforwarding"})
_TARGET_KEYS: Final = frozenset(
    {"number", "phonenumber", "phone", "forwardingnumber", "forwardto", "to", "target", "value"}
)


def e164(text: str, country: str) -> str:
    """Returns a phone number in E.164 format without its extension, or other text unchanged.

    `country` (ISO 3166-1 alpha-2, or empty) is the country that the text is dialed from. If it has
    no such number, the text may also begin with a foreign international prefix, or with a calling
    code without the plus sign.

    >>> e164("(415) 555-0001 x5", "US"), e164("0049 30 555003", "US")
    ('+14155550001', '+4930555003')
    """
    if re.fullmatch(E164_PATTERN, text) or "@" in text:
        return text
    digits = re.split("[A-Za-z]", text.removeprefix("tel:"), maxsplit=1)[0]
    abroad = "+" + re.sub(r"\D", "", digits).removeprefix("011").removeprefix("00")
    found = [
        number
        for spelling in (text, digits, abroad)
        if (number := _parsed(spelling, country)) is not None
    ]
    if not found:
        return text
    number = next(filter(is_valid_number, found), found[0])
    return format_number(number, PhoneNumberFormat.E164)


def normalized_target(text: str, country: str) -> str:
    """Returns a call target with each phone number in E.164 format, extensions included.

    Text that is not a number stays unchanged. JSON loses its `null`, `false` and `""` values.

    >>> normalized_target("(415) 555-0001 x5", "US")
    '+14155550001;ext=5'
    >>> normalized_target('{"to": "0049 30 555003"}', "US")
    '{"to": "+4930555003"}'
    """
    content = _parsed_value(text)
    if content is text:
        return _normalized_text(text, country)
    dialed = _normalized(content, country)
    return json.dumps(dialed, ensure_ascii=False, sort_keys=True) if dialed else ""


def country_of(text: str, country_code: str) -> str | None:
    """Returns the service's country code in upper case, or else the country of the number."""
    if country := country_code.strip().upper():
        return country
    number = _parsed(text, "")
    return None if number is None else region_code_for_number(number)


def forwarding_targets(
    kind: str, value: str, forwarding: str, country: str, *, has_more: bool
) -> list[str] | None:
    """Returns the numbers that a call is forwarded to; `None` if an IVR or an agent answers it.

    - `kind`, `value`: type and value of the call service; a value other than text is JSON.
    - `forwarding`: the forwarding number.
    - `has_more`: true if the service has further keys.
    """
    service_type, content = _without_separators(kind), _parsed_value(value)
    if service_type in _FORWARDING_TYPES:
        named = list(_texts_in(content, _TARGET_KEYS))
        numbers = [e164(text, country) for text in named or _texts(forwarding)]
        if not named and any(_texts_in(content)):
            return None  # the target is under a key that is not known
        if not any(number.startswith("+") for number in numbers) and forwarding.strip():
            return [e164(text, country) for text in _texts(forwarding)]
        return numbers
    is_empty = service_type in _EMPTY_TYPES and (
        kind.strip() or not (has_more or any(_texts_in(content)))
    )
    return [e164(text, country) for text in _texts(forwarding)] if is_empty else None


def _without_separators(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()


def _normalized(content: Any, country: str) -> Any:
    match content:
        case dict():
            return {
                name: _normalized(part, country)
                for name, part in content.items()
                if part is not None and part is not False and part != ""
            }
        case list():
            return [_normalized(part, country) for part in content]
        case str():
            return _normalized_text(content, country)
    return content


def _normalized_text(text: str, country: str) -> str:
    found = _DIALED.fullmatch(text)
    if found is None:
        return text
    number, extension = e164(found["number"], country), found["extension"]
    return f"{number};ext={extension}" if extension else number


def _parsed(text: str, country: str) -> PhoneNumber | None:
    try:
        return parse(text, country or None)
    except NumberParseException:
        return None


def _parsed_value(value: str) -> Any:
    if value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _texts(value: object) -> Iterator[str]:
    """Yields a text or number as text, unless it is empty."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value).strip()
        if text.lower() not in _EMPTY_TYPES:
            yield text


def _texts_in(content: Any, names: Container[str] | None = None) -> Iterator[str]:
    """Yields the texts in a call service's value: all, or those under keys in `names`."""
    left = [content]
    while left:
        match left.pop():
            case dict() as each:
                left += [
                    value
                    for name, value in each.items()
                    if names is None or _without_separators(name).removesuffix("s") in names
                ]
            case list() as each:
                left += each
            case each:
                yield from _texts(each)
