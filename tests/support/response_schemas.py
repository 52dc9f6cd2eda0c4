"""Validates responses of the sandbox against the vendor's schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from support.vendor_documents import REFERENCE, corrected

BASE = "http://reference.test/"
LOCATION = "/phone-system/numbers/location/{locationId}"
OPERATIONS = {
    "pools": ("get", "/phone-system/number-pools"),
    "available": ("get", f"{LOCATION}/available"),
    "purchase": ("post", f"{LOCATION}/purchase"),
    "active": ("get", LOCATION),
}
LEGACY = "2021-07-28"
VERSIONS = ("v3", LEGACY)
TOKEN_OPERATIONS = {
    "v3": {
        "token": ("post", "/oauth/token"),
        "location-token": ("post", "/oauth/location-token"),
        "installed-locations": ("get", "/oauth/installed-locations"),
    },
    LEGACY: {
        "token": ("post", "/oauth/token"),
        "location-token": ("post", "/oauth/locationToken"),
        "installed-locations": ("get", "/oauth/installedLocations"),
    },
}


@cache
def registry() -> Registry:
    """The documents of both contracts, as jsonschema looks them up."""
    return Registry().with_resources(
        (f"{BASE}{of}-{version}.json", DRAFT202012.create_resource(corrected(version, of)))
        for of in ("phone-system", "oauth")
        for version in VERSIONS
    )


def schema_url(version: str, operation: str, status: int) -> str | None:
    """The URL of a response's schema; v3 has none for some responses, so 2021-07-28's is used."""
    known = version if version in VERSIONS else LEGACY
    if operation in TOKEN_OPERATIONS[known]:
        of, contracts = "oauth", [known]
        method, path = TOKEN_OPERATIONS[known][operation]
    else:
        of, contracts = "phone-system", [known, LEGACY]
        method, path = OPERATIONS[operation]
    for contract in contracts:
        responses = corrected(contract, of)["paths"][path][method]["responses"]
        if "content" in responses.get(str(status), {}):
            escaped = path.replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
            content = f"responses/{status}/content/application~1json/schema"
            return f"{BASE}{of}-{contract}.json#/paths/{escaped}/{method}/{content}"
    return None


def check(version: str, operation: str, status: int, body: Any) -> None:
    """Raises unless a body matches the schema of its response."""
    if not REFERENCE.is_dir():
        return
    if url := schema_url(version, operation, status):
        validator = OAS30Validator(
            {"$ref": url}, registry=registry(), format_checker=oas30_format_checker
        )
        validator.validate(body)
