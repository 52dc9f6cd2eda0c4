"""The vendor's OpenAPI documents, and what they say of an answer."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from support.vendor_documents import REFERENCE

BASE = "http://reference.test/phone/"
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
def document(version: str) -> dict[str, Any]:
    """A contract's OpenAPI document. Four fields of v3 are declared objects, but are strings."""
    if version.startswith("oauth-"):
        return json.loads((REFERENCE / f"{version}.openapi.json").read_text())
    found = json.loads((REFERENCE / f"phone-system-{version}.openapi.json").read_text())
    if version == "v3":
        schemas = found["components"]["schemas"]
        item = schemas["ListNumberItemResponseDto"]["properties"]
        for name in ("dateAdded", "dateUpdated", "dateCreated"):
            item[name] |= {"type": "string", "format": "date-time"}
        schemas["PurchasePhoneNumberBodyDto"]["properties"]["numberType"]["type"] = "string"
    return found


@cache
def registry() -> Registry:
    common = json.loads((REFERENCE / "common-schemas.json").read_text())
    names = [*VERSIONS, *(f"oauth-{version}" for version in VERSIONS)]
    contents = {f"{BASE}{name}.json": document(name) for name in names}
    contents["http://reference.test/common/common-schemas.json"] = common
    return Registry().with_resources(
        (uri, DRAFT202012.create_resource(content)) for uri, content in contents.items()
    )


def declared(version: str, operation: str, status: int) -> str | None:
    """Where the schema of an answer is; the older document speaks for what v3 leaves open."""
    known = version if version in VERSIONS else LEGACY
    if operation in TOKEN_OPERATIONS[known]:
        method, path = TOKEN_OPERATIONS[known][operation]
        names = [f"oauth-{known}"]
    else:
        method, path = OPERATIONS[operation]
        names = [known, LEGACY]
    for name in dict.fromkeys(names):
        answer = document(name)["paths"][path][method]["responses"].get(str(status), {})
        if "content" in answer:
            escaped = path.replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
            content = f"responses/{status}/content/application~1json/schema"
            return f"{BASE}{name}.json#/paths/{escaped}/{method}/{content}"
    return None


def check(version: str, operation: str, status: int, body: Any) -> None:
    """Fail unless a body is what the document of its contract says."""
    if not REFERENCE.is_dir():
        return
    if schema := declared(version, operation, status):
        validator = OAS30Validator(
            {"$ref": schema}, registry=registry(), format_checker=oas30_format_checker
        )
        validator.validate(body)
