"""The audit's public names, and their lazy imports."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from lcphone_async import audit

TYPED = (Path(__file__).parents[1] / "typing" / "audit_api.py").read_text()
NAMES = {name: getattr(audit, name) for name in audit.__all__}


def test_every_name_is_there():
    """Hands on each public name, the same at every use."""
    assert set(audit.__all__) == set(audit._HOMES)
    for name in audit.__all__:
        assert getattr(audit, name) is NAMES[name]
        assert not inspect.ismodule(getattr(audit, name))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = audit.nonsense


def test_every_field_and_argument_is_typed_in_the_typing_test():
    """Fails when a public value or function has something that the typing test does not name."""
    values = [value for value in NAMES.values() if inspect.isclass(value)]
    fields = {f.name for value in values if attrs.has(value) for f in attrs.fields(value)}
    assert {n for n in fields if n[0] != "_" and not re.search(rf"\.{n}\b", TYPED)} == set()
    named = {
        parameter.name
        for value in NAMES.values()
        if inspect.isfunction(value)
        for parameter in inspect.signature(value).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert {name for name in named if f"{name}=" not in TYPED} == set()


@pytest.mark.parametrize("heavy", ["altair", "distributed", "duckdb", "jinja2", "pyarrow"])
@pytest.mark.parametrize("module", ["lcphone_async", "lcphone_async.audit"])
def test_the_import_is_light(module, heavy):
    """Imports heavy packages on first use only."""
    check = f"import sys, {module}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_an_audit_needs_no_plotting(tmp_path):
    """Takes an inventory without the libraries of the report and of the cluster."""
    check = "import sys; from lcphone_async.audit import audit, export, findings, compare, costs;"
    check += (
        "sys.exit({'altair', 'jinja2', 'distributed', 'vl_convert'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
