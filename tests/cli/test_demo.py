"""`lcphone demo`: the whole story, in a process of its own."""

import re
import subprocess
import sys
import time

import pytest

from support.lcphone_command import Command


@pytest.fixture(scope="module")
def demo(forks, tmp_path_factory):
    """One run of it, with stdout in a pipe, as in a log of CI."""
    command = Command(forks, tmp_path_factory.mktemp("demo") / "purchases.db")
    started = time.monotonic()
    outcome = command.run("demo", COLUMNS="80")
    assert time.monotonic() - started < 10
    return outcome


def test_demo_tells_its_numbers(demo):
    """Exits 0 without a warning, and ends with a count of its requests and numbers."""
    assert (demo.code, demo.err) == (0, "")
    assert "2500/2500" in demo.out
    last = demo.out.splitlines()[-1]
    assert re.fullmatch(r"Done: 31 requests, 2,591 numbers, \d+\.\d seconds\.", last)


def test_demo_shows_the_bought_number_in_the_inventory(demo):
    """Finds in the inventory the number that it bought, after three countries were searched."""
    searched = re.findall(r"^(\w\w): 30 numbers found", demo.out, re.MULTILINE)
    assert sorted(searched) == ["CA", "GB", "US"]
    before, after = demo.out.split("4. There it is")
    bought = re.search(r"Number +(\+\d+)\s.*Bought", before, re.DOTALL)[1]
    assert re.search(rf"^{re.escape(bought)} .*\bvoice", after, re.MULTILINE)


def test_demo_reads_well_in_a_log(demo):
    """Writes no escape sequences if stdout is not a terminal, and no line that is too wide."""
    assert "\x1b" not in demo.out
    assert max(map(len, demo.out.splitlines())) <= 80
    assert "Chicago, IL" in demo.out


@pytest.mark.exhaustive
def test_demo_into_a_closed_pipe_is_quiet(bare):
    """Prints nothing if its reader has closed the pipe."""
    with bare.start("demo") as demo:
        demo.stdout.close()
        assert demo.stderr.read() == b""
    assert demo.returncode == 1


def test_without_the_extra_it_says_what_to_install(bare):
    """Exits 1 with one line that names the extra if click or rich is missing."""
    for missing in ("click", "rich"):
        program = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['lcphone', 'demo']\n"
        program += "from lcphone_async.__main__ import main; main()"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=bare.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "pip install 'lcphone-async[cli]'" in line


def test_version_and_help(bare):
    """`--version` prints name and version; `--help` lists every subcommand."""
    assert re.fullmatch(r"lcphone \d+\.\d+\.\d+\S*\n", bare.run("--version").out)
    told = bare.run("--help").out
    for verb in ("demo", "numbers", "search", "buy", "purchases", "pools", "sandbox"):
        assert re.search(rf"^  {verb} ", told, re.MULTILINE)
