"""Coverage-guided fuzzing of all code that decodes responses: any bytes, headers and status.

    pip install atheris
    PYTHONPATH=tests python -m support.fuzz CORPUS -max_total_time=3600 -rss_limit_mb=2048

CORPUS is a folder that fills with inputs that reached new code; the next run begins with them. An
input is a text that `from_text` in `any_response.py` parses. It is mutated as bytes, as JSON and
by header lines. An input that breaks a rule of `any_response.py` is written to a file
`crash-…`; pass that file instead of the corpus to run it again. Once mended, it is kept with its
bytes in `tests/wire/test_fuzz_findings.py`. Other options are libFuzzer's.
"""

import json
import random
import re
import sys
from collections.abc import Callable
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

HEADERS = (
    "Retry-After",
    "X-RateLimit-Max",
    "X-RateLimit-Remaining",
    "X-RateLimit-Interval-Milliseconds",
    "X-RateLimit-Limit-Daily",
    "X-RateLimit-Daily-Remaining",
    "X-RateLimit-Daily-Reset",
    "Content-Type",
    "Server",
)
HEADER_VALUES = (
    "0",
    "-1",
    "1.5",
    "1e9",
    "9" * 15,
    "9" * 400,
    "\xb2",
    " 7 ",
    "",
    "cloudflare",
    "application/json; charset=utf-16",
    "Mon, 23 Feb 2026 22:00:52 GMT",
    "Mon, 23 Feb 99999 22:00:52 +9999",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Sat, 01 Jan 0001 00:00:00 +2359",
    "Wed, 21 Oct",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    0,
    -0.0,
    0.1,
    1e308,
    float("inf"),
    float("nan"),
    10**400,
    10**4400,
    2**63,
    -(2**63) - 1,
    [],
    {},
    "\ud800",
    "\udc00\ud800",
    "\x00\x1b[2J\u202e\n",
    "+1 (830) 555-1234",
    "+1\u200b830\u200b555\u200b1234",
    "pit-5ecre7-c0ffee",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.9999999-14:00",
    "Mon, 23 Feb 26 22:00:52 EST",
    "token is expired",
)


def main() -> None:
    """Runs libFuzzer with the arguments of the command line."""
    import atheris

    with atheris.instrument_imports(include=["lcphone_async", "email"]):
        from support import any_response

        teach(any_response)

    def check(data: bytes) -> None:
        any_response.assert_good(*any_response.from_text(data))

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311  # chance, not secrets
        return mutated(data, chance, atheris.Mutate, max_size)[:max_size]

    folders = [Path(given) for given in sys.argv[1:] if Path(given).is_dir()]
    for index, sample in enumerate(any_response.SAMPLES if folders else ()):
        headers = "".join(f"{name}: 9\n" for name in HEADERS)
        (folders[0] / f"sample-{index:02}").write_bytes(any_response.to_text(*sample, headers))
    atheris.Setup(sys.argv, check, custom_mutator=mutate)
    atheris.Fuzz()


def teach(any_response: Any) -> None:
    """Lets the fast decoder learn as many unknown keys as it may.

    Afterwards the outcome of an input does not depend on the inputs before it.
    """
    more = {"new": 1, **{f"new{index}": index for index in range(30)}}
    number = {"phoneNumber": "+1", **dict.fromkeys(("capabilities", "price"), more), **more}
    number["inboundCallService"] = more
    page = {"numbers": [number], "rcsSenderIds": [{"number": "1", **more}], **more}
    for operation in ("list", "search"):
        any_response.receive(*any_response.from_text(any_response.to_text(operation, 200, page)))


def mutated(
    data: bytes, chance: random.Random, mutate: Callable[[bytes, int], bytes], max_size: int
) -> bytes:
    """The input with a mutation of its bytes, its body, the body's JSON, or its head."""
    head, _, body = data.partition(b"\n\n")
    way = chance.random()
    if way < 0.1:
        return mutate(data, max_size)
    if way < 0.3:
        return head + b"\n\n" + mutate(body, max_size)
    if way < 0.45:
        return changed_head(head, chance) + b"\n\n" + body
    try:
        document = json.loads(body)
        for _ in range(chance.randint(1, 3)):
            document = changed(document, chance, mutate)
        text = json.dumps(document, ensure_ascii=chance.random() < 0.8)
        return head + b"\n\n" + repeated_key(text, chance).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return head + b"\n\n" + mutate(body, max_size)


def changed_head(head: bytes, chance: random.Random) -> bytes:
    """The head with another operation or status, or with an odd, repeated or missing header."""
    from support.any_response import OPERATIONS

    first, *lines = head.decode("latin-1").split("\n")
    way = chance.random()
    if way < 0.2:
        first = f"{chance.choice(list(OPERATIONS))} {first.rpartition(' ')[2]}"
    elif way < 0.5:
        status = chance.choice([200, 400, 401, 404, 409, 429, 503, chance.randint(100, 999)])
        first = f"{first.rpartition(' ')[0]} {status}"
    elif way < 0.6 and lines:
        lines.pop(chance.randrange(len(lines)))
    elif way < 0.7 and lines:
        lines.append(chance.choice(lines))
    else:
        lines.append(f"{chance.choice(HEADERS)}: {chance.choice(HEADER_VALUES)}")
    return "\n".join([first, *lines]).encode("latin-1")


def repeated_key(text: str, chance: random.Random) -> str:
    """JSON in which an object may repeat one of its keys."""
    keys = ("numbers", "data", "phoneNumber", "page", "message")
    at = text.find("{", chance.randrange(len(text)))
    if at < 0 or chance.random() < 0.9:
        return text
    return f'{text[: at + 1]}"{chance.choice(keys)}": null, {text[at + 1 :]}'


def changed(document: Any, chance: random.Random, mutate: Callable[[bytes, int], bytes]) -> Any:
    """The document with one value, key or level changed."""
    holder, place = place_in(document, chance)
    way = chance.random()
    if holder is None or way < 0.05:
        return around(document, chance)
    value = holder[place]
    if way < 0.15:
        del holder[place]
    elif way < 0.3 and isinstance(holder, dict):
        holder[chance.choice(wire_keys())] = holder.pop(place)
    elif way < 0.4 and isinstance(holder, list):
        holder.insert(place, value)
    elif way < 0.5:
        holder[place] = around(value, chance)
    elif way < 0.65 and isinstance(value, str):
        sent = mutate(value.encode(errors="surrogateescape"), 60)
        holder[place] = sent.decode(errors="surrogateescape")
    elif way < 0.75 and isinstance(value, dict):
        value[chance.choice(wire_keys())] = odd_value(chance)
    else:
        holder[place] = odd_value(chance)
    return document


def odd_value(chance: random.Random) -> Any:
    """A fresh value, since a mutation may insert into it."""
    return copy(chance.choice(ODD_VALUES))


def around(value: Any, chance: random.Random) -> Any:
    """The value, nested some levels deeper."""
    key = chance.choice(["data", "numbers", "error", "new", None])
    for _ in range(chance.choice([1, 1, 1, 3, 99, 101, 300])):
        value = [value] if key is None else {key: value}
    return value


def place_in(document: Any, chance: random.Random) -> tuple[Any, Any]:
    """A random object or array of the document, and a key or an index in it."""
    holder = place = None
    value = document
    while isinstance(value, dict | list) and value and (place is None or chance.random() < 0.8):
        holder, place = (
            value,
            chance.choice([*value] if isinstance(value, dict) else range(len(value))),
        )
        value = holder[place]
    return holder, place


@cache
def wire_keys() -> list[str]:
    """The keys of all sample documents."""
    from support.any_response import SAMPLES

    return sorted(set(re.findall(r'"(\w+)":', json.dumps(SAMPLES))))


if __name__ == "__main__":
    main()
