"""The vendor's own SDKs work with the sandbox as with the service.

They are not requirements of this project. To run these tests:

    python -m venv VENV && VENV/bin/pip install gohighlevel-api-client
    npm install --prefix DIR @gohighlevel/api-client
    VENDOR_PYTHON=VENV/bin/python VENDOR_NODE_MODULES=DIR/node_modules pytest tests/vendor
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lcphone_async.sandbox import OAuthSettings, Sandbox, TokenSettings

HERE = Path(__file__).parent
PYTHON = os.environ.get("VENDOR_PYTHON")
NODE_MODULES = os.environ.get("VENDOR_NODE_MODULES")

needs_python_sdk = pytest.mark.skipif(
    PYTHON is None, reason="VENDOR_PYTHON names no interpreter with gohighlevel-api-client"
)
needs_typescript_sdk = pytest.mark.skipif(
    NODE_MODULES is None or shutil.which("node") is None,
    reason="VENDOR_NODE_MODULES does not say where @gohighlevel/api-client is",
)


@pytest.fixture
def record(tmp_path):
    return tmp_path / "traffic.jsonl"


@pytest.fixture
def sandbox(record):
    """A sandbox that checks tokens and records the requests."""
    app = OAuthSettings(client_id="app-1", client_secret="s3cret", locations=["loc1", "loc2"])
    tokens = {"pit-loc1": TokenSettings(locations=["loc1"], kind="location")}
    with Sandbox(oauth_app=app, tokens=tokens, record=record).in_thread() as running:
        yield running


def run(sandbox, *command, **environment):
    """The output of an SDK's run with a private token, a refresh token and an agency's."""
    refresh_token = sandbox.oauth.install("loc1").refresh_token
    agency_token = sandbox.oauth.install().access_token
    done = subprocess.run(
        [*command, sandbox.url, "pit-loc1", refresh_token, agency_token],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def assert_true(told, sandbox):
    """The SDK's results equal the sandbox's state."""
    assert (told["pools"], told["found"], told["listed"]) == (2, 30, 5)
    assert told["bought"] == told["wanted"] == sandbox.ledger[0].phone_number
    assert sandbox.location("loc1").bought == [told["wanted"]]
    assert sandbox.oauth.access(told["refreshed"]).locations == {"loc1"}
    assert sandbox.oauth.access(told["location"]).locations == {"loc1"}
    assert told["installed"] == ["loc1", "loc2"]
    assert {record.status for record in sandbox.requests} == {200, 201}


@needs_python_sdk
def test_the_python_sdk(sandbox, record):
    """Version v3 succeeds, although it sends two version headers and repeats `numberTypes`."""
    told = run(sandbox, PYTHON, str(HERE / "python_sdk.py"))
    assert_true(told, sandbox)
    assert told["total"] == 121
    search = next(r for r in sandbox.requests if r.path.endswith("/available"))
    assert search.query.getall("numberTypes") == ["local", "tollFree"]
    purchase = next(line for line in record.read_text().splitlines() if "/purchase" in line)
    headers = [name.lower() for name, _ in json.loads(purchase)["request"]["headers"]]
    assert headers.count("version") == 2


@needs_typescript_sdk
@pytest.mark.parametrize("version", ["", "2021-07-28"])
def test_the_typescript_sdk(sandbox, version):
    """All operations and the tokens succeed, under its own version and under 2021-07-28."""
    sdk = str(Path(NODE_MODULES).resolve() / "@gohighlevel" / "api-client")
    script = str(HERE / "typescript_sdk.js")
    told = run(sandbox, "node", script, VENDOR_SDK=sdk, VENDOR_API_VERSION=version)
    assert_true(told, sandbox)
