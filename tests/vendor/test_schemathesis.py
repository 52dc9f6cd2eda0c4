"""Schemathesis over the vendor's documents: no server error, no answer that breaks its schema,
negative data refused, positive data accepted, tokens asked for.

It is not among this project's requirements: `pip install schemathesis` somewhere, and say where
with `VENDOR_SCHEMATHESIS=…/bin/st`. Each document has `VENDOR_SECONDS`, 10 by default.

The documents are corrected first, in their copies: `tests/support/vendor_documents.py` says how,
and here what the texts say and the schemas do not. Statuses are not checked, as v3 declares no
refusal.
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
    """The document with what its texts and its other operations say."""
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
    """Nothing that Schemathesis sends to the four operations finds a fault with an answer."""
    with strict_sandbox() as sandbox:
        run(sandbox, clarified(contract), tmp_path, *CHECKS, "valid_data_is_accepted")
        assert sandbox.ledger
        assert len({record.path for record in sandbox.requests}) > 10


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_token_endpoints(contract, tmp_path):
    """Nor to the token endpoints, where valid data need not be accepted: it holds grants."""
    with strict_sandbox() as sandbox:
        run(sandbox, corrected(contract, "oauth"), tmp_path, *CHECKS)
        assert "issued" in {entry.outcome for entry in sandbox.oauth.ledger}


def strict_sandbox():
    """One that takes one token, as often as it comes."""
    unlimited = {"max_requests": 10**9, "daily_quota": 10**9}
    return Sandbox(strict=True, tokens=["pit-good"], **unlimited).in_thread()


def run(sandbox, content, folder, *checks):
    """Fails with what Schemathesis says, if it finds anything; `schemathesis.txt` keeps it."""
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
