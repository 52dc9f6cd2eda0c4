"""The package as a whole: its public names, its values, its import."""

import copy
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path

import attrs
import pytest

import lcphone_async
from lcphone_async import errors, models
from lcphone_async._http.options import ClientOptions, PurchaseOptions

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
    """An instance with a distinct value in every field."""
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
    """Every model and error is exported at the top level."""
    assert {cls.__name__ for cls in MODELS + ERRORS} <= set(lcphone_async.__all__)


def test_every_model_field_is_typed_in_the_typing_test():
    """The typing test covers every field of the models."""
    fields = {field.name for cls in MODELS for field in attrs.fields(cls)}
    assert {name for name in fields if not re.search(rf"\.{name}\b", TYPED)} == set()


def test_every_client_argument_is_typed_in_the_typing_test():
    """The typing test passes every argument of the client's public methods."""
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
    """Models compare, hash, copy and pickle by value, and are frozen and slotted."""
    value = example(cls)
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == copy.copy(value) == value
    assert hash(value) == hash(copy.deepcopy(value))
    assert not hasattr(value, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(cls)[0].name, "other")


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_survive_pickling(cls):
    """An error keeps its text, fields and notes when pickled."""
    error = error_example(cls)
    error.add_note("a note")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is cls
    assert (str(back), back.args, back.__dict__) == (str(error), error.args, error.__dict__)


def test_an_error_s_text_holds_no_phone_number():
    """`str` and `repr` of an error do not have the phone number."""
    error = error_example(errors.PurchaseOutcomeUnknownError)
    assert error.phone_number == "the phone_number"
    assert "the phone_number" not in str(error) + repr(error)


def test_the_documented_error_tree_is_right():
    """The module's docstring has every error below its base class."""
    drawn, branch = {}, []
    for indent, name in re.findall(r"^    ([ │├└─]*)(\w+Error)\b", errors.__doc__, re.MULTILINE):
        del branch[len(indent) // 4 :]
        drawn[name] = branch[-1] if branch else "Exception"
        branch.append(name)
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in ERRORS}


def public_modules():
    """The modules without a leading underscore, except the command's."""
    walk = pkgutil.walk_packages(lcphone_async.__path__, "lcphone_async.")
    names = (module.name for module in walk)
    private = re.compile(r"\._|\.cli|\.sandbox\.")
    return [lcphone_async, *(import_module(name) for name in names if not private.search(name))]


def public_callables():
    """Every public function, class and method, and the getters of properties."""
    for module in public_modules():
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        for name in names:
            value = getattr(module, name)
            home = str(getattr(value, "__module__", ""))
            if callable(value) and home.startswith(module.__name__):
                yield f"{home}.{name}", value
                for part, found in inspect.getmembers_static(value) * inspect.isclass(value):
                    if part[0] != "_" or part in SPECIAL:
                        yield f"{home}.{name}.{part}", found


SPECIAL = {"__init__", "__aenter__", "__aexit__", "__enter__", "__exit__", "__call__"}


def test_type_hints_can_be_resolved():
    """Frameworks can resolve the hints of every public callable at run time."""
    unresolved, seen = {}, 0
    for name, found in public_callables():
        function = getattr(found, "fget", None) or getattr(found, "__func__", found)
        function = inspect.unwrap(function)
        if inspect.isfunction(function) or inspect.isclass(function):
            seen += 1
            try:
                typing.get_type_hints(function)
            except (NameError, AttributeError, TypeError) as error:
                unresolved[name] = error
    assert unresolved == {}
    assert seen > 400


def test_options_are_the_arguments():
    """Each typed dictionary of options has exactly the arguments that it stands for."""
    client = inspect.signature(lcphone_async.LCPhoneClient).parameters
    assert ClientOptions.__annotations__.keys() == client.keys()
    purchase = inspect.signature(lcphone_async.LCPhoneClient.purchase).parameters
    many = inspect.signature(lcphone_async.LCPhoneClient.purchase_many).parameters
    given = purchase.keys() - many.keys() - {"number", "dry_run"}
    assert PurchaseOptions.__annotations__.keys() == given


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("missing", "extra", "name"),
    [
        ("duckdb", "audit", "audit.audit"),
        ("pyarrow", "audit", "audit.export"),
        ("altair", "report", "audit.report"),
        ("jinja2", "report", "audit.report"),
        ("vl_convert", "report", "audit.report"),
        ("distributed", "dask", "audit.audit_on_dask"),
        ("redis", "redis", "redis.RedisRateLimiter"),
    ],
)
def test_a_missing_extra_is_named(missing, extra, name):
    """Raises `ModuleNotFoundError` with the extra to install."""
    room, name = name.split(".")
    check = f"import sys; sys.modules[{missing!r}] = None; from lcphone_async.{room} import {name}"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    last = run.stderr.splitlines()[-1]
    assert last.endswith(
        f"{missing} is not installed: run `pip install 'lcphone-async[{extra}]'` first"
    )


@pytest.mark.parametrize("heavy", ["aiohttp", "backoff", "cattrs", "click", "msgspec", "rich"])
def test_the_import_is_light(heavy):
    """Heavy modules are imported at their first use."""
    check = f"import sys, lcphone_async; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
