"""Schemathesis tests the sandbox with data generated from the vendor's documents.

Responses match their schemas and are never server errors; invalid data is refused and valid data
accepted; tokens are required.

It is not a requirement of this project. Install it anywhere with `pip install schemathesis`, and
set `VENDOR_SCHEMATHESIS=…/bin/st`. Each document takes `VENDOR_SECONDS`, 10 by default.

Copies of the documents are corrected first, by `tests/support/vendor_documents.py` and by
`clarified`. Statuses are not checked, as v3 declares no errors.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from lcphone_async.sandbox import Sandbox
from support.vendor_documents import CONTRACTS, corrected, needs_documents, operations

ST = os.environ.get("VENDOR_SCHEMATHESIS")
SECONDS = os.environ.get("VENDOR_SECONDS", "10")
CHECKS = (
    "not_a_server_error",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "ignored_auth",
)
COUNTRY = {"type": "string", "pattern": "^[A-Z]{2}$"}
NUMBER = {"type": "string", "pattern": r"^\+1(830|212|800)[2-9][0-9]{6}$"}

pytestmark = [
    needs_documents,
    pytest.mark.skipif(ST is None, reason="VENDOR_SCHEMATHESIS does not say where st is"),
    pytest.mark.timeout(int(SECONDS) * 3 + 120),
]


def clarified(contract):
    """The document with the constraints from its texts and from its other operations."""
    found = corrected(contract)
    for path, _, operation in operations(found):
        parameters = operation["parameters"]
        for parameter in parameters:
            if parameter["name"] in ("page", "pageSize"):
                # "The page index", "how many resources"; JavaScript has no larger whole numbers.
                parameter["schema"] |= {"type": "integer"}
                parameter["schema"].setdefault("maximum", 2**53 - 1)
            if parameter["name"] == "countryCode":
                parameter["schema"] = COUNTRY  # "ISO 3166-1 alpha-2"
            if parameter["name"] == "locationId" and contract == "v3":
                parameter["schema"]["minLength"] = 1
        if not any(parameter["name"].lower() == "version" for parameter in parameters):
            version = {"type": "string", "enum": [contract]}
            parameters.append(
                {"name": "Version", "in": "header", "required": True, "schema": version}
            )
        assert path.startswith("/phone-system/")
    body = found["components"]["schemas"]["PurchasePhoneNumberBodyDto"]
    body["properties"]["phoneNumber"] = NUMBER  # "E.164 phone number"
    return found


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_phone_system(contract, tmp_path):
    """Schemathesis finds no violation in the responses of the four operations."""
    with strict_sandbox() as sandbox:
        run(sandbox, clarified(contract), tmp_path, *CHECKS, "valid_data_is_accepted")
        assert sandbox.ledger
        assert len({record.path for record in sandbox.requests}) > 10


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_token_endpoints(contract, tmp_path):
    """Nor in those of the token endpoints, where valid data may be refused: it includes grants."""
    with strict_sandbox() as sandbox:
        run(sandbox, corrected(contract, "oauth"), tmp_path, *CHECKS)
        assert "issued" in {entry.outcome for entry in sandbox.oauth.ledger}


def strict_sandbox():
    """A sandbox that accepts one token, without limits."""
    unlimited = {"max_requests": 10**9, "daily_quota": 10**9}
    return Sandbox(strict=True, tokens=["pit-good"], **unlimited).in_thread()


def run(sandbox, content, folder, *checks):
    """Fails with the report of Schemathesis if there are findings; `schemathesis.txt` keeps it."""
    document = folder / "openapi.json"
    document.write_text(json.dumps(content))
    command = [
        ST, "run", str(document), "--url", sandbox.url, "--max-time", SECONDS,
        "--checks", ",".join(checks), "--continue-on-failure", "--no-color",
        "-H", "Authorization: Bearer pit-good", "--warnings", "off",
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **hooks}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    (folder / "schemathesis.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
