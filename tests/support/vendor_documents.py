"""The vendor's OpenAPI documents: their location, operations, schemas and examples.

They are not part of the project. The environment variable `VENDOR_DOCUMENTS` names their folder;
the default is `shared/reference` beside the clone. Tests that need them are skipped without them.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "reference"
REFERENCE = Path(os.environ.get("VENDOR_DOCUMENTS") or _BESIDE)
CONTRACTS = ("v3", "2021-07-28")

needs_documents = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the vendor's documents are not there: set VENDOR_DOCUMENTS"
)


@cache
def document(contract: str, of: str = "phone-system") -> dict[str, Any]:
    """One contract's document, with the schemas of the shared document merged into it."""
    text = (REFERENCE / f"{of}-{contract}.openapi.json").read_text("utf-8")
    found = json.loads(text.replace("../common/common-schemas.json#", "#"))
    common = json.loads((REFERENCE / "common-schemas.json").read_text("utf-8"))
    found["components"]["schemas"].update(common["components"]["schemas"])
    return found


@cache
def corrected(contract: str, of: str = "phone-system") -> dict[str, Any]:
    """The document without its known mistakes.

    v3 declares `numberType` and three dates as `object`, although they are strings, and does not
    declare that `numberTypes` is one value with commas. Both contracts describe bearer tokens with
    keys that OpenAPI allows for API keys only.
    """
    found = json.loads(json.dumps(document(contract, of)))
    for scheme in found["components"]["securitySchemes"].values():
        del scheme["name"], scheme["in"]
    for schema in found["components"]["schemas"].values():
        for name, value in schema.get("properties", {}).items():
            if value.get("type") == "object" and isinstance(value.get("example"), str):
                value["type"] = "string"
                if name.startswith("date"):
                    value["format"] = "date-time"
    for _, _, operation in operations(found):
        for parameter in operation.get("parameters", ()):
            if parameter["schema"]["type"] == "array":
                parameter["explode"] = False
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation with its path and its method."""
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolve(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A schema with its `$ref` and its `allOf` merged into it."""
    merged = dict(schema)
    parts = merged.pop("allOf", [])
    if "$ref" in merged:
        parts = [*parts, found["components"]["schemas"][merged.pop("$ref").rpartition("/")[2]]]
    for part in parts:
        merged = {**resolve(part, found), **merged}
    return merged


def samples(schema: dict[str, Any], found: dict[str, Any]) -> list[Any]:
    """Sample documents of a schema, which cover each of its examples and enum values."""
    schema = resolve(schema, found)
    made = [schema["example"]] if "example" in schema else []
    made += [value for value in schema.get("enum", []) if value not in made]
    if "properties" in schema:
        parts = {name: samples(part, found) for name, part in schema["properties"].items()}
        parts = {name: values for name, values in parts.items() if values}
        for n in range(max(map(len, parts.values()), default=0)):
            made.append({name: values[min(n, len(values) - 1)] for name, values in parts.items()})
    elif "items" in schema:
        made += [[value] for value in samples(schema["items"], found)]
    if schema.get("nullable"):
        made.append(None)
    return made


def examples(found: dict[str, Any]) -> Iterator[tuple[str, str, int, Any]]:
    """Every example of a response: the operation's path, its method, the status, the body.

    The body of an error without a schema is `None`; a success without a schema is left out.
    """
    for path, method, operation in operations(found):
        for status, response in operation["responses"].items():
            media = response.get("content", {}).get("application/json", {})
            bodies = [example["value"] for example in media.get("examples", {}).values()]
            bodies += [media["example"]] if "example" in media else []
            bodies += samples(media.get("schema", {}), found)
            if not media and int(status) >= HTTPStatus.BAD_REQUEST:
                bodies = [None]
            for body in bodies:
                yield path, method, int(status), body


def example_values(found: dict[str, Any]) -> Iterator[Any]:
    """Every value under `example` or `examples` of any response, at any depth."""

    def walk(node: Any) -> Iterator[Any]:
        if isinstance(node, list):
            for part in node:
                yield from walk(part)
        elif isinstance(node, dict):
            node = resolve(node, found) if node.keys() & {"$ref", "allOf"} else node
            for key, part in node.items():
                if key == "example":
                    yield part
                elif key == "examples":
                    yield from (example["value"] for example in part.values())
                else:
                    yield from walk(part)

    for _, _, operation in operations(found):
        yield from walk(operation["responses"])


def response_fields(found: dict[str, Any], path: str) -> set[str]:
    """The names of all properties, at any depth, in the successful responses of a path."""

    def walk(schema: dict[str, Any]) -> Iterator[str]:
        schema = resolve(schema, found)
        for name, part in schema.get("properties", {}).items():
            yield name
            yield from walk(part)
        if "items" in schema:
            yield from walk(schema["items"])

    return {
        name
        for at, _, operation in operations(found)
        for status, response in operation["responses"].items()
        if at == path and status.startswith("2")
        for media in response.get("content", {}).values()
        for name in walk(media["schema"])
    }
