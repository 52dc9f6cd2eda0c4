"""The package as a whole: its names, its values, its import."""

import copy
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import lcphone_async
from lcphone_async import errors, models

TYPED = (Path(__file__).parent / "typing" / "api.py").read_text()

MODELS = [
    cls for _, cls in inspect.getmembers(models, attrs.has) if cls.__module__ == models.__name__
]
ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.LCPhoneError)
]


def example(cls):
    """An instance with a value of its own in every field."""
    values = {field.name: f"the {field.name}" for field in attrs.fields(cls)}
    if "extra" in values:
        values["extra"] = {"unknown": ["value"]}
    if "rcs_meta" in values:
        values["rcs_meta"] = {"brand": "value"}
    return cls(**values)


def error_example(cls):
    fields = attrs.fields(cls) if attrs.has(cls) else ()
    return cls(**{field.name: f"the {field.name}" for field in fields})


def test_every_model_and_error_is_public():
    """Hands on every model and every error at the top level."""
    assert {cls.__name__ for cls in MODELS + ERRORS} <= set(lcphone_async.__all__)


def test_every_model_field_is_typed_in_the_typing_test():
    """Fails when a model has a field that the typing test does not know."""
    fields = {field.name for cls in MODELS for field in attrs.fields(cls)}
    assert {name for name in fields if not re.search(rf"\.{name}\b", TYPED)} == set()


def test_every_client_argument_is_typed_in_the_typing_test():
    """Fails when a public method has an argument that the typing test does not pass."""
    client = lcphone_async.LCPhoneClient
    public = [client.__init__, *(m for n, m in inspect.getmembers(client) if n[0] != "_")]
    named = {
        parameter.name
        for method in public
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert {name for name in named if f"{name}=" not in TYPED} == set()


@pytest.mark.parametrize("cls", MODELS)
def test_models_are_values(cls):
    """Compares, hashes, copies and pickles by value, and is frozen and slotted."""
    value = example(cls)
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == copy.copy(value) == value
    assert hash(value) == hash(copy.deepcopy(value))
    assert not hasattr(value, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(cls)[0].name, "other")


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_survive_pickling(cls):
    """Comes back from another process with all that it said, notes included."""
    error = error_example(cls)
    error.add_note("a note")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is cls
    assert (str(back), back.args, back.__dict__) == (str(error), error.args, error.__dict__)


def test_an_error_s_text_holds_no_phone_number():
    """Keeps the number of an unknown purchase out of `str` and `repr`."""
    error = error_example(errors.PurchaseOutcomeUnknownError)
    assert error.phone_number == "the phone_number"
    assert "the phone_number" not in str(error) + repr(error)


def test_the_drawing_of_the_tree_is_true():
    """Draws every error below its base, in the module's docstring."""
    drawn, branch = {}, []
    for indent, name in re.findall(r"^    ([ │├└─]*)(\w+Error)\b", errors.__doc__, re.MULTILINE):
        del branch[len(indent) // 4 :]
        drawn[name] = branch[-1] if branch else "Exception"
        branch.append(name)
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in ERRORS}


@pytest.mark.parametrize(
    ("missing", "extra", "name"),
    [
        ("duckdb", "audit", "audit.audit"),
        ("pyarrow", "audit", "audit.export"),
        ("distributed", "dask", "audit.audit_on_dask"),
        ("redis", "redis", "redis.RedisRateLimiter"),
    ],
)
def test_a_missing_extra_is_named(missing, extra, name):
    """Raises `ModuleNotFoundError` that says what to install."""
    room, name = name.split(".")
    check = f"import sys; sys.modules[{missing!r}] = None; from lcphone_async.{room} import {name}"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    last = run.stderr.splitlines()[-1]
    assert last.endswith(
        f"{missing} is not installed: run `pip install 'lcphone-async[{extra}]'` first"
    )


@pytest.mark.parametrize("heavy", ["aiohttp", "backoff", "cattrs", "click", "msgspec", "rich"])
def test_the_import_is_light(heavy):
    """Imports what is heavy at its first use only."""
    check = f"import sys, lcphone_async; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
