"""The README's examples run unchanged."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_inventory_example(lcphone_sandbox):
    """Writes every number of several locations, and reports the location that failed."""
    lcphone_sandbox.location("bad").connected = False
    environment = {"LCPHONE_BASE_URL": lcphone_sandbox.url, "LCPHONE_TOKEN": "any"}
    run = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            README.parent / "examples" / "inventory.py",
            "a",
            "bad",
            "b",
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 1 + 2 * len(lcphone_sandbox.location("a").numbers)
    assert "bad is not complete" in run.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_run(example, lcphone_sandbox, tmp_path):
    """Each example runs against the sandbox and prints something, without an error or a warning."""
    environment = {
        **os.environ,
        "LCPHONE_BASE_URL": lcphone_sandbox.url,
        "LCPHONE_TOKEN": "any",
        "LCPHONE_LOCATION_ID": "any",
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.strip() not in {"", "None"}
