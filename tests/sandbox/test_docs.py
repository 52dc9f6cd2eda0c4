"""`docs/sandbox.md` names what there is, and its examples run."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import attrs
import pytest

from lcphone_async.sandbox import Fault, Sandbox
from lcphone_async.sandbox.faulty.rules import Damage
from lcphone_async.sandbox.wire.operations import OperationName
from lcphone_async.sandbox.wire.profiles import PROFILES

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
NAMES = {
    *(profile.name for profile in PROFILES),
    *get_args(Damage),
    *get_args(OperationName),
    *(field.alias for field in attrs.fields(Fault)),
    *(field.alias for field in attrs.fields(Sandbox) if field.init),
} - {"host", "port", "keep_requests"}

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_in_the_document(name):
    """A profile, a damage, an operation, a field of a fault or an argument is named there."""
    assert f"`{name}`" in TEXT


async def test_every_endpoint_is_in_the_document():
    """The endpoints are those that a sandbox has."""
    async with Sandbox() as sandbox:
        routes = {
            f"{route.method} {route.resource.canonical}"
            for route in sandbox._runner.app.router.routes()
            if "__sandbox__" in route.resource.canonical and route.method != "HEAD"
        }
    assert set(re.findall(r"`([A-Z]+ /__sandbox__/\w+)`", TEXT)) == routes


def test_the_examples_run(pytester):
    """The test passes, and the program prints what it got."""
    test, program = EXAMPLES
    pytester.makepyfile(test)
    pytester.runpytest_subprocess("-p", "no:asyncio", "-W", "error").assert_outcomes(passed=1)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "2 pools\n['issued']\n"
