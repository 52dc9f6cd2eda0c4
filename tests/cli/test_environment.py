"""The command in surroundings that lack something: a stream, a keyring, a home, a clean token."""

import subprocess

import click
import pytest

from lcphone_async.cli.folders import user_folder
from support.lcphone_command import COMMAND, TOKEN
from support.mounts import read_only

LOCAL = "+13126994095"  # for sale in every sandbox


def closed(lcphone, redirection, *arguments):
    """A run whose shell has closed some of its streams."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *arguments],
        env=lcphone.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("verb", ["pools", "--help", "purchases", "buy"])
def test_without_stdout(lcphone, lcphone_sandbox, verb):
    """Prints one line, and does nothing."""
    run = closed(lcphone, ">&-", *([verb, LOCAL, "--yes"] if verb == "buy" else [verb]))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "Error: stdout is closed: redirect it, as by >/dev/null\n"
    assert lcphone_sandbox.requests == []


@pytest.mark.exhaustive
def test_without_the_other_streams(lcphone, journal):
    """Works, and writes no file of its own to their numbers."""
    assert closed(lcphone, "<&-", "pools", "--json").stdout
    assert closed(lcphone, "2>&-", "pools", "--json").stdout
    assert closed(lcphone, "<&- 2>&-", "buy", LOCAL, "--yes", "--json").stdout
    assert journal.read_bytes().startswith(b"SQLite format 3")
    run = closed(lcphone, "<&-", "buy", LOCAL)
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
    assert "--yes" in run.stderr
    assert closed(lcphone, "<&- >&- 2>&-", "pools").returncode == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("no.such.Keyring", "No module named 'no'"),
        ("keyring.backends.no_such.Keyring", "No module named"),
        ("keyring.backends.macOS.Keyring", "macOS required"),
        ("Nothing", "Empty module name"),
    ],
)
def test_a_keyring_backend_that_is_missing(lcphone, backend, reason):
    """Is named in one line; a token in the environment needs no keyring."""
    without = {"LCPHONE_TOKEN": "", "PYTHON_KEYRING_BACKEND": backend}
    for run in (
        lcphone.run("pools", **without),
        lcphone.run("login", given=TOKEN, **without),
        lcphone.run("whoami", **without),
    ):
        assert reason in run.complaint
        assert "PYTHON_KEYRING_BACKEND" in run.complaint
    assert lcphone.run("pools", PYTHON_KEYRING_BACKEND=backend).code == 0


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (f'"{TOKEN}"', "is in quotes"),
        (f"'{TOKEN}'", "is in quotes"),
        (f"\u201c{TOKEN}\u201d", "is in quotes"),
        (f'"Bearer {TOKEN}"', "is in quotes"),
        ('""', "is in quotes"),
        (f"Bearer {TOKEN}", 'begins with "Bearer"'),
        (f"bearer  {TOKEN}", 'begins with "Bearer"'),
        ("pit- secret", "holds white space"),
        (" ", "is empty"),
    ],
)
def test_a_token_with_something_around_it(lcphone, lcphone_sandbox, token, problem):
    """Is refused before anything is sent, by the name of its variable."""
    assert f"LCPHONE_TOKEN {problem}" in lcphone.run("pools", LCPHONE_TOKEN=token).complaint
    assert lcphone_sandbox.requests == []


def test_a_token_with_white_space_around_it(lcphone):
    """Is taken without it, as a file ends with a line's end."""
    assert lcphone.run("pools", LCPHONE_TOKEN=f" {TOKEN}\n").code == 0


@pytest.mark.sample(1)
@pytest.mark.parametrize("place", ["a file", "below a file", "read-only"])
def test_a_home_that_cannot_be_written(lcphone, lcphone_sandbox, tmp_path, place):
    """Is not needed to read; the error of a purchase mentions `--journal`."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("")
    home = {"a file": folder / "file", "below a file": folder / "file" / "x", "read-only": folder}
    places = {"HOME": str(home[place]), "XDG_CONFIG_HOME": "", "LCPHONE_JOURNAL": ""}
    with read_only(folder):
        for verb in (["pools"], ["purchases"], ["whoami"]):
            assert lcphone.run(*verb, **places).code == 0
        assert "lcphone login" in lcphone.run("pools", LCPHONE_TOKEN="", **places).complaint
        refused = lcphone.run("buy", LOCAL, "--yes", **places).complaint
        assert refused.startswith(f"Error: journal {home[place]}/")
        assert refused.endswith(": name another file with --journal")
        assert not lcphone_sandbox.ledger
        bought = lcphone.run("buy", LOCAL, "--yes", "--journal", str(tmp_path / "j.db"), **places)
        assert bought.code == 0


@pytest.mark.sample(1)
@pytest.mark.parametrize("config", ["", "relative"])
def test_a_relative_folder_of_settings(lcphone, tmp_path, monkeypatch, config):
    """Is ignored, as the XDG specification requires: no token goes to the current folder."""
    monkeypatch.chdir(tmp_path)
    places = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": config, "LCPHONE_TOKEN": ""}
    assert lcphone.run("login", given=TOKEN, **places).code == 0
    assert lcphone.run("pools", **places).code == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"home", "purchases.db"}
    assert list((tmp_path / "home" / ".config" / "lcphone" / "logins").glob("*.login.json"))


def test_a_user_without_a_home(monkeypatch):
    """Gets an error with the variables to set: a user without an entry has no home folder."""

    def unknown(_):
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(click.ClickException, match=r"there is no home folder: .* --journal"):
        user_folder()
