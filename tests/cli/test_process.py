"""The command as a process: tokens, signals, pipes and exit codes."""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request

import pytest

from lcphone_async.cli import output
from support.lcphone_command import TOKEN
from support.raw_server import http_json


@pytest.mark.parametrize("verb", [["numbers"], ["search", "US"], ["pools"], ["buy", "+1", "--yes"]])
def test_a_missing_token(lcphone, lcphone_sandbox, verb):
    """Prints one line if LCPHONE_TOKEN is not set and there is no terminal to ask on."""
    assert "LCPHONE_TOKEN" in lcphone.run(*verb, LCPHONE_TOKEN="").complaint
    assert lcphone_sandbox.requests == []


@pytest.mark.exhaustive
def test_the_token_is_asked_for_on_a_terminal(lcphone):
    """Asks for the token without showing it, and goes on with it."""
    del lcphone.settings["LCPHONE_TOKEN"]
    code, out, said = lcphone.answered(
        f"{TOKEN}\n".encode(), "pools", "--json", question=b"token: "
    )
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "token" in said
    assert TOKEN not in said


def test_a_token_is_no_argument(lcphone):
    """Takes no `--token`, which would stay in the shell's history."""
    refused = lcphone.run("pools", "--token", "x")
    assert refused.code == 2
    assert "No such option" in refused.err


def test_a_bad_token_is_not_shown(lcphone):
    """Reports an invalid token without showing it."""
    assert "LCPHONE_TOKEN" in lcphone.run("pools", LCPHONE_TOKEN=f"{TOKEN} {TOKEN}").complaint


@pytest.mark.exhaustive
async def test_a_token_in_an_answer_is_not_shown(lcphone_raw, raw_server):
    """Shows no token even if the service's message contains it."""
    raw_server.reply(http_json({"message": f"bad {TOKEN}", "statusCode": 401}, 401))
    assert "401" in (await asyncio.to_thread(lcphone_raw.run, "pools")).complaint


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["numbers", "--page-size", "0"], "page_size"),
        (["numbers", "--api-version", "v4"], "api_version"),
        (["numbers", "--base-url", "ftp://x"], "base_url"),
        (["search", "USA"], "two letters"),
        (["pools", "--location", ".."], "location_id"),
    ],
)
def test_a_bad_argument_is_one_line(lcphone, arguments, reason):
    """Prints one line for an invalid argument."""
    assert reason in lcphone.run(*arguments).complaint


def test_a_missing_location_is_named(lcphone):
    """Names the option if no location is given."""
    refused = lcphone.run("pools", LCPHONE_LOCATION_ID="")
    assert refused.code == 2
    assert "--location" in refused.err.splitlines()[-1]


def numbered(pages):
    """An answer to each request, of `pages` pages of 1000 numbers; the last one is short."""

    def answer(request):
        page = int(request.parameters["page"])
        count = 1000 if page < pages else 1
        return http_json(
            {"numbers": [{"phoneNumber": f"+1312{page:03}{n:04}"} for n in range(count)]}
        )

    return answer


@pytest.fixture
def endless(lcphone_raw, raw_server):
    """The command, pointed at a list that is far longer than a pipe holds."""
    raw_server.reply(numbered(900))
    return lcphone_raw


@pytest.mark.sample(1)
@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_a_closed_pipe_is_quiet(endless, options):
    """Ends without a word once its reader has gone away, as `| head -1` does."""

    def read_a_line_and_leave():
        with endless.start("numbers", *options) as process:
            assert process.stdout.readline()
            process.stdout.close()
            return process.stderr.read()

    assert await asyncio.to_thread(read_a_line_and_leave) == b""


@pytest.mark.sample(1)
@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_an_interrupt_is_quiet(endless, options):
    """Exits 130 at once on Ctrl-C, even if its output is not read."""

    def read_a_line_and_interrupt():
        with endless.start("numbers", *options) as process:
            assert process.stdout.readline()
            time.sleep(0.3)  # by now the pipe is full
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
            return process.returncode, process.stderr.read()

    assert await asyncio.to_thread(read_a_line_and_interrupt) == (130, b"")


async def test_writing_waits_for_the_reader_alone(monkeypatch):
    """Does not block the event loop while the pipe is full, and can be cancelled."""
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as writer:  # noqa: ASYNC230, PTH123
        monkeypatch.setattr(sys, "stdout", writer)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await output.write("é" * 1_000_000)
        await asyncio.sleep(0)
        monkeypatch.undo()
        assert len(reader.read1(1_000_000)) > 4000


async def test_an_incomplete_list_is_told(lcphone_raw, raw_server):
    """Shows the numbers received, then prints one line that the list is incomplete."""
    numbers = [{"phoneNumber": "+13125550000"}]
    pages = [{"data": {"numbers": shown, "total": 3}} for shown in (numbers, [])]
    raw_server.reply(*map(http_json, pages))
    outcome = await asyncio.to_thread(lcphone_raw.run, "numbers", "--json")
    assert "1 of 3" in outcome.complaint
    assert len(outcome.lines) == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_runs_until_it_is_told(bare, how):
    """Prints its URL alone on a line once it answers there, and ends quietly with exit code 0."""
    with bare.start("sandbox", "--port", "0") as process:
        url = process.stdout.readline().decode().rstrip("\n")
        request = urllib.request.Request(  # noqa: S310
            f"{url}/phone-system/number-pools?locationId=loc1",
            headers={"Authorization": "Bearer any", "Version": "v3"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert json.load(answer)["success"]
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_sandbox_ends_in_a_background_job(bare):
    """Ends on SIGTERM even if a shell made it ignore SIGINT."""
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = bare.start("sandbox")
    finally:
        signal.signal(signal.SIGINT, ignored)
    with process:
        assert process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_sandbox_on_a_taken_port(bare, lcphone_sandbox):
    """Prints one line if the port is in use."""
    port = lcphone_sandbox.url.rpartition(":")[2]
    assert "in use" in bare.run("sandbox", "--port", port).complaint


@pytest.mark.exhaustive
def test_no_service_there(bare):
    """Prints one line with the address if the connection is refused."""
    settings = {"LCPHONE_TOKEN": "any", "LCPHONE_BASE_URL": "http://127.0.0.1:1"}
    assert "127.0.0.1:1" in bare.run("pools", "--location", "loc1", **settings).complaint


def test_names_outside_the_output_encoding(lcphone):
    """Writes characters that the encoding lacks as escapes, and continues."""
    shown = lcphone.run("numbers", PYTHONIOENCODING="ascii")
    assert (shown.code, shown.err) == (0, "")
    assert r"Caf\xe9 Zo\xeb" in shown.out
