"""The command's file options: a path that is missing, a folder, no such file, or on a full disk."""

import os
import subprocess
import sys

import pytest

from support.lcphone_command import TOKEN
from support.mounts import read_only

LOCAL = "+13126994095"  # for sale in every sandbox


@pytest.fixture
def store(lcphone, tmp_path):
    """A store with one run."""
    file = tmp_path / "good.db"
    assert lcphone.run("audit", "run", "a", "--store", str(file)).code == 0
    return str(file)


@pytest.fixture
def bad(tmp_path):
    """Paths that are not files, by error."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "garbage").write_bytes(b"\xff\xfe\x00garbage")
    os.mkfifo(tmp_path / "pipe")
    return {kind: str(tmp_path / kind) for kind in ("folder", "garbage")} | {
        "missing": str(tmp_path / "no" / "such"),
        "below a file": str(tmp_path / "garbage" / "x"),
    }


def complaint(run, code, path):
    """The one line of a run that failed with this code, and names the path."""
    assert run.code == code, run
    (line,) = run.err.splitlines()
    assert line.startswith("Error: ")
    assert path in line
    assert "Errno" not in line
    return line


KINDS = ["missing", "folder", "garbage", "below a file"]


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_cannot_be_opened(lcphone, bad, tmp_path, kind):
    """Ends every verb that reads it with exit code 6."""
    out = str(tmp_path / "out")
    for verb in (
        ["run", "a"],
        ["run", "--resume"],
        ["export", "--format", "csv", "--out", out],
        ["findings"],
        ["costs"],
        ["report", "--out", out],
    ):
        complaint(lcphone.run("audit", *verb, "--store", bad[kind]), 6, bad[kind])


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_cannot_be_read(lcphone, store, bad, tmp_path, kind):
    """Is named in one line, by every option that reads one."""
    report = ["audit", "report", "--store", store, "--out", str(tmp_path / "out")]
    for verb in (
        ["pools", "--ca-bundle"],
        ["buy", LOCAL, "--yes", "--journal"],
        ["purchases", "--journal"],
        ["purchases", "--settle", "--journal"],
        ["audit", "findings", "--store", store, "--rules"],
        ["audit", "costs", "--store", store, "--prices"],
        [*report, "--rules"],
        [*report, "--prices"],
        ["audit", "run", "--store", str(tmp_path / "new.db"), "--locations"],
    ):
        if verb[0] == "purchases" and kind in {"missing", "below a file"} and len(verb) == 2:
            continue  # tested below
        code = 2 if (verb[-1], kind) == ("--rules", "garbage") else 1
        complaint(lcphone.run(*verb, bad[kind]), code, bad[kind])
    complaint(lcphone.run(*report, "--since", bad[kind]), 6, bad[kind])


@pytest.mark.parametrize("kind", ["missing", "below a file", "folder"])
def test_an_export_that_cannot_be_written(lcphone, store, bad, kind):
    """Names the file of the export, and not one beside it; the store is not to blame."""
    run = lcphone.run("audit", "export", "--store", store, "--format", "csv", "--out", bad[kind])
    complaint(run, 1, f"Error: {bad[kind]}: ")


def test_a_file_without_an_end(lcphone, store, tmp_path):
    """Is not read for ever; a pipe is read to its end."""
    report = ["audit", "report", "--store", store, "--out", str(tmp_path / "out")]
    for code, verb in (
        (2, ["audit", "findings", "--store", store, "--rules"]),
        (1, ["audit", "costs", "--store", store, "--prices"]),
        (1, [*report, "--prices"]),
        (1, ["audit", "run", "--store", str(tmp_path / "new.db"), "--locations"]),
    ):
        line = complaint(lcphone.run(*verb, "/dev/zero"), code, "/dev/zero")
        assert "larger than 64 MiB" in line
    prices = "country_code,type,price\nUS,local,1\n"
    costs = ("audit", "costs", "--store", store, "--prices", "/dev/stdin")
    assert lcphone.run(*costs, given=prices).code == 0


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT nonsense FROM numbers", "Binder Error: Referenced column"),
        ("SELEC", "Parser Error: syntax error"),
        ("SELECT 'x'::INT AS location_id", "Conversion Error: Could not convert"),
    ],
)
def test_a_rule_that_cannot_be_run(lcphone, store, tmp_path, query, problem):
    """Prints one line with the rule file, the rule and the error of the database."""
    rules, out = tmp_path / "rules.toml", str(tmp_path / "out.html")
    rules.write_text(f'[mine]\ntitle = "x"\nreason = "x"\nquery = "{query}"\n')
    for verb in (["findings"], ["findings", "--json"], ["report", "--out", out]):
        run = lcphone.run("audit", *verb, "--store", store, "--rules", str(rules))
        assert f"{rules}: rule mine: {problem}" in complaint(run, 2, str(rules))


@pytest.mark.exhaustive
def test_a_ca_bundle_that_cannot_be_read(lcphone, bad, lcphone_sandbox):
    """Is named by its option, and not by the variable that was not used; an empty one too."""
    for kind, path in bad.items():
        run = lcphone.run("pools", "--ca-bundle", path)
        assert "(--ca-bundle)" in run.complaint, kind
        assert "SSL_CERT_FILE" not in run.complaint
    assert "(SSL_CERT_FILE)" in lcphone.run("pools", SSL_CERT_FILE=bad["folder"]).complaint
    assert "--ca-bundle names no file" in lcphone.run("pools", "--ca-bundle", "").complaint
    assert lcphone_sandbox.requests == []


def test_a_journal_that_is_no_file(lcphone, bad, tmp_path, lcphone_sandbox):
    """Is not taken for an empty one: a named pipe (or a device) is neither read nor changed."""
    pipe = tmp_path / "pipe"
    before = pipe.stat().st_mode
    for verb in (["purchases"], ["purchases", "--settle"], ["buy", LOCAL, "--yes"]):
        line = complaint(lcphone.run(*verb, "--journal", str(pipe)), 1, str(pipe))
        assert "it is not a file" in line
    assert pipe.stat().st_mode == before
    assert not lcphone_sandbox.ledger
    complaint(lcphone.run("purchases", "--journal", bad["missing"]), 1, bad["missing"])


@pytest.mark.exhaustive
def test_a_report_to_what_is_no_file(lcphone, store, tmp_path):
    """Is written there, and does not take its place."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("")
    link.symlink_to(target)
    assert lcphone.run("audit", "report", "--store", store, "--out", str(link)).code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("app", [[], ["--client-id", "app"]])
def test_a_login_that_cannot_be_kept(lcphone, lcphone_sandbox, tmp_path, app):
    """Prints advice, and sends no code, on a read-only mount and below a file."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "file").write_text("")
    secret = {"LCPHONE_TOKEN": "", "LCPHONE_CLIENT_SECRET": "secret", "XDG_CONFIG_HOME": ""}
    with read_only(folder):
        for home in (folder, folder / "file"):
            run = lcphone.run("login", *app, given=f"{TOKEN}\n", HOME=str(home), **secret)
            line = complaint(run, 1, str(home))
            assert line.startswith("Error: no login can be kept: ")
            assert "set HOME to a writable folder" in line
            assert "LCPHONE_TOKEN" in line
    assert lcphone_sandbox.requests == []


FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000));"
FULL += "import sys; sys.argv = ['lcphone', *sys.argv[1:]];"
FULL += "from lcphone_async.__main__ import main; main()"


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (["audit", "report", "--store", "STORE", "--out", "NEW"], 1),
        (["audit", "export", "--store", "STORE", "--format", "csv", "--out", "NEW"], 1),
        (["audit", "export", "--store", "STORE", "--format", "jsonl", "--out", "NEW"], 1),
        (["audit", "export", "--store", "STORE", "--format", "parquet", "--out", "NEW"], 1),
        (["audit", "run", "a", "--store", "NEW"], 6),
        (["buy", LOCAL, "--yes", "--journal", "NEW"], 1),
    ],
)
def test_a_full_disk(lcphone, store, tmp_path, verb, code):
    """Has one line and an exit code, and leaves no partial file."""
    new = tmp_path / "full" / "new"
    new.parent.mkdir()
    named = {"STORE": store, "NEW": str(new)}
    given = lcphone.environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *(named.get(word, word) for word in verb)],
        # without coverage, which could not write its own file either
        env={name: value for name, value in given.items() if not name.startswith("COVERAGE")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(new) in line
    assert "Errno" not in line
    assert not list(new.parent.rglob("*.partial"))
