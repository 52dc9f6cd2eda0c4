"""`lcphone audit`, as a process of its own."""

import csv
import os
import pty
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from support.lcphone_command import Command


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "inventory.duckdb")


@pytest.fixture
def taken(lcphone, store):
    """A store with one run of two locations."""
    assert lcphone.run("audit", "run", "a", "b", "--store", store).code == 0
    return store


@pytest.mark.exhaustive
def test_run_from_arguments(lcphone, store):
    """Audits the named locations, and prints a summary."""
    done = lcphone.run("audit", "run", "a", "b", "--store", store, "--json")
    assert (done.code, done.err) == (0, "")
    (line,) = done.lines
    assert (line["run_id"], line["numbers"], line["coverage"]) == (1, 240, {"complete": 2})
    told = lcphone.run("audit", "run", "c", "--store", store)
    assert (told.code, told.err) == (0, "")
    assert "120 numbers in run 2" in told.out


@pytest.mark.exhaustive
def test_run_from_a_file_and_from_stdin(lcphone, store, tmp_path):
    """Reads locations as text, CSV or JSON lines, from a file or from stdin, each once."""
    listed = tmp_path / "locations.csv"
    listed.write_text("id,name\na,Dental\nb,Spa\n")
    run = ("audit", "run", "--store", store, "--json", "--locations")
    assert lcphone.run(*run, str(listed), "b", "c").lines[0]["coverage"] == {"complete": 3}
    lines = '{"id": "a"}\n{"id": "d"}\n'
    assert lcphone.run(*run, "-", given=lines).lines[0]["coverage"] == {"complete": 2}
    bad = lcphone.run(*run, "-", given='{"id": "a"}\n{}\n')
    assert "line 2: no location_id" in bad.complaint


@pytest.mark.exhaustive
def test_run_of_no_locations(lcphone, store):
    """Asks for locations if there are none."""
    assert lcphone.run("audit", "run", "--store", store).code == 2
    assert lcphone.run("audit", "run", "--store", store, "--installed").code == 2
    unresumed = lcphone.run("audit", "run", "--store", store, "--resume")
    assert (unresumed.code, "no run to resume" in unresumed.err) == (6, True)


@pytest.mark.exhaustive
def test_exit_codes(lcphone, lcphone_sandbox, store, tmp_path):
    """Has an exit code for each reason why it is incomplete."""
    run = ("audit", "run", "--store", store)
    lcphone_sandbox.location("off").connected = False
    assert lcphone.run(*run, "a", "off").code == 0
    bad = Fault(location="bad", status=403)
    lcphone_sandbox.faults.append(bad)
    done = lcphone.run(*run, "bad", "a")
    assert done.code == 3
    assert "Error: bad: failed: GET" in done.err
    lcphone_sandbox.faults.clear()
    assert lcphone.run(*run, "--resume").code == 0
    refused = {"message": "Invalid token: access token is invalid"}
    lcphone_sandbox.faults.append(Fault(status=401, body=refused))
    done = lcphone.run(*run, "a", "b", "c", "d")
    assert done.code == 4
    assert "--resume continues" in done.err
    missing = str(tmp_path / "no" / "store")
    assert lcphone.run("audit", "run", "a", "--store", missing).code == 6


@pytest.mark.exhaustive
def test_a_spent_day(bare, store):
    """Prints that --resume works after the reset if a daily quota is exhausted."""
    with Sandbox(daily_quota=3, numbers_per_location=9_000).in_thread() as sandbox:
        lcphone = bare.for_url(sandbox.url)
        done = lcphone.run("audit", "run", "a", "--store", store)
    assert done.code == 5
    assert "once it has reset, within 24 hours" in done.err
    assert "the daily limit resets in " in done.err


FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000));"
FULL += "import sys; sys.argv = ['lcphone', *sys.argv[1:]];"
FULL += "from lcphone_async.__main__ import main; main()"


@pytest.mark.exhaustive
def test_a_full_disk(lcphone, store):
    """Exits 6 if the store cannot be written, and resumes when it can."""
    ids = [f"loc{i}" for i in range(60)]
    done = subprocess.run(
        [sys.executable, "-c", FULL, "audit", "run", *ids, "--store", store],
        env=lcphone.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done
    assert "File too large" in done.stderr
    assert lcphone.run("audit", "run", "--resume", "--store", store).code == 0


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_interrupted(lcphone, lcphone_sandbox, store, how, code):
    """Ends on a signal, keeps finished locations, and continues with --resume."""
    lcphone_sandbox.faults.append(Fault(location="slow", delay=60))
    command = ("audit", "run", "a", "b", "slow", "--store", store)
    with lcphone.start(*command) as process:
        while len(lcphone_sandbox.requests) < 4:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(how)
        assert process.wait(20) == code
        assert b"--resume continues" in process.stderr.read()
    lcphone_sandbox.faults.clear()
    done = lcphone.run("audit", "run", "--resume", "--store", store, "--json")
    assert done.lines[0]["coverage"] == {"complete": 3}


@pytest.mark.exhaustive
def test_progress_without_a_terminal(lcphone, lcphone_sandbox, store):
    """Prints a progress line every few seconds if stderr is not a terminal."""
    lcphone_sandbox.faults.append(Fault(location="slow", delay=6))
    done = lcphone.run("audit", "run", "a", "slow", "--store", store)
    assert done.code == 0
    assert done.err.startswith("1 of 2 locations, 120 numbers, ")
    assert "\x1b" not in done.err


@pytest.mark.exhaustive
def test_progress_on_a_terminal(lcphone, store):
    """Draws a bar with the rate if stderr is a terminal."""
    ours, its = pty.openpty()
    with lcphone.start("audit", "run", "a", "b", "--store", store, stderr=its) as process:
        os.close(its)
        said = b""
        try:
            while more := os.read(ours, 4096):
                said += more
        except OSError:
            pass
        assert process.wait(20) == 0
    os.close(ours)
    assert b"2/2" in said
    assert b"240 numbers" in said


@pytest.mark.exhaustive
def test_export(lcphone, taken, tmp_path):
    """Writes each format from the store, without the service."""
    for kind in ("csv", "jsonl", "parquet"):
        out = str(tmp_path / f"out.{kind}")
        done = lcphone.run("audit", "export", "--store", taken, "--format", kind, "--out", out)
        assert done.code == 0
        assert "240 rows" in done.err
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["location_id"] for row in rows} == {"a", "b"}
    assert all(row["phone_number"].startswith("+") for row in rows)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 240
    assert list((tmp_path / "out.parquet").glob("run_id=1/country_code=US/*.parquet"))
    piped = lcphone.run("audit", "export", "--store", taken, "--format", "jsonl", "--out", "-")
    assert len(piped.lines) == 240


@pytest.mark.exhaustive
def test_export_mentions_what_is_missing(lcphone, lcphone_sandbox, store, tmp_path):
    """Prints a note on stderr if an export lacks locations."""
    lcphone_sandbox.faults.append(Fault(location="bad", status=403))
    lcphone.run("audit", "run", "a", "bad", "--store", store)
    out = str(tmp_path / "out.csv")
    done = lcphone.run("audit", "export", "--store", store, "--format", "csv", "--out", out)
    assert done.code == 0
    assert "1 of 2 locations were not seen whole" in done.err


@pytest.mark.exhaustive
def test_diff(lcphone, lcphone_sandbox, taken, tmp_path):
    """Prints the changes, and exits 1 if there are any."""
    diff = ("audit", "diff", "--store", taken)
    assert lcphone.run(*diff).code == 2  # there is one run only
    lcphone.run("audit", "run", "a", "b", "--store", taken)
    same = lcphone.run(*diff)
    assert (same.code, same.err) == (0, "")
    lcphone_sandbox.location("b").add("+18305551234")
    lcphone.run("audit", "run", "a", "b", "--store", taken)
    changed = lcphone.run(*diff, "--json")
    assert changed.code == 1
    (line,) = changed.lines
    assert (line["kind"], line["location_id"], line["phone_number"], line["drops_a2p"]) == (
        "added",
        "b",
        "+18305551234",
        False,
    )
    table = lcphone.run(*diff, "1", "3")
    assert table.code == 1
    assert "+18305551234" in table.out
    assert lcphone.run(*diff, "1", "2").code == 0
    assert lcphone.run(*diff, "--ignore", "added, name").code == 0
    assert lcphone.run(*diff, "--only", "Added").code == 1
    unknown = lcphone.run(*diff, "--only", "x")
    assert (unknown.code, "'x' is not a kind of change: status" in unknown.err) == (2, True)
    assert "run 1 began before run 2" in lcphone.run(*diff, "2", "1").err
    assert "the same run" in lcphone.run(*diff, "2", "2").err
    assert lcphone.run("audit", "diff", taken, taken).code == 1
    assert lcphone.run("audit", "diff", taken, str(tmp_path / "none")).code == 2
    assert lcphone.run("audit", "diff", taken).code == 2
    assert lcphone.run(*diff, "x").code == 2


@pytest.mark.exhaustive
def test_diff_of_what_was_not_seen(lcphone, lcphone_sandbox, taken, store):
    """Names the locations that were not compared, and ends with a code of its own."""
    lcphone_sandbox.faults.append(Fault(location="b", status=403))
    lcphone.run("audit", "run", "a", "b", "--store", store)
    done = lcphone.run("audit", "diff", "--store", store)
    assert done.code == 3
    assert "b: not compared: complete, then failed" in done.err
    assert "1 locations were compared, 1 were not seen whole in both runs" in done.err
    done = lcphone.run("audit", "diff", "--store", store, "--json")
    assert (done.code, done.lines) == (
        3,
        [{"kind": "not compared", "location_id": "b", "before": "complete", "after": "failed"}],
    )
    lcphone_sandbox.faults.clear()
    lcphone.run("audit", "run", "c", "--store", store)
    nothing = lcphone.run("audit", "diff", "--store", store, "1", "3", "--json")
    assert nothing.code == 3
    assert "0 locations were compared" in nothing.err
    assert [line["kind"] for line in nothing.lines] == ["location added"] + ["location gone"] * 2


@pytest.mark.exhaustive
def test_findings_and_costs(lcphone, taken, tmp_path):
    """Shows each rule with its reason, every finding as JSON, and costs with assumptions."""
    table = lcphone.run("audit", "findings", "--store", taken)
    assert table.code == 0
    assert "unassigned" in table.out
    assert "assign or release them" in " ".join(table.out.split())
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[any]\ntitle = "All"\nreason = "x"\nquery = "SELECT location_id FROM locations"\n'
    )
    found = lcphone.run("audit", "findings", "--store", taken, "--rules", str(rules), "--json")
    assert [one["location_id"] for one in found.lines if one["rule"] == "any"] == ["a", "b"]
    costs = lcphone.run("audit", "costs", "--store", taken)
    assert "unknown" in costs.out
    assert "no calls, texts" in costs.out
    lines = lcphone.run("audit", "costs", "--store", taken, "--json").lines
    assert lines[0] == {
        "country_code": "US",
        "type": "local",
        "numbers": 140,
        "price": "1.15",
        "currency": "USD",
    }
    known = [line for line in lines[:-1] if line["price"]]
    total = sum(Decimal(line["price"]) * line["numbers"] for line in known)
    assert lines[-1]["totals"] == {"USD": str(total)}
    unknown = sum(line["numbers"] for line in lines[:-1] if not line["price"])
    assert lines[-1]["without_price"] == unknown > 0
    assert "no calls, texts" in " ".join(lines[-1]["assumptions"])
    look = ("audit", "findings", "--store", taken, "--json", "--regulated")
    papers = {one["detail"] for one in lcphone.run(*look, "us").lines if one["rule"] == "no-papers"}
    assert papers == {"US"}
    assert "did you mean GB" in lcphone.run(*look, "DE, UK").complaint


@pytest.mark.exhaustive
def test_files_that_are_none(lcphone, taken, tmp_path):
    """Prints one line with the unreadable file and the position of the error."""
    file = tmp_path / "file"
    rule = b"[a]\ntitle = 1\nreason = 'x'\nquery = 'x'\n"
    for content, problem, *verb in (
        (b'{"id":' + b"[" * 100_000, ", line 1: nested", "run", "--locations"),
        (b"id,name\na," + b"x" * 200_000, ": row 2: field", "run", "--locations"),
        (b"a\xff\n", ": not UTF-8", "run", "--locations"),
        (b"country_code,price\nUS,1\n", ": no column is called type", "costs", "--prices"),
        (b"a = " + b"[" * 50_000, ": nested", "findings", "--rules"),
        (rule, ": [a]: title must be", "findings", "--rules"),
    ):
        file.write_bytes(content)
        done = lcphone.run("audit", *verb, str(file), "--store", taken)
        assert done.code == (2 if verb[1] in {"--rules", "--prices"} else 1)
        (line,) = done.err.splitlines()
        assert f"Error: {file}{problem}" in line
    report = ("audit", "report", "--store", taken, "--out", str(tmp_path))
    assert "out must be a file" in lcphone.run(*report).complaint


def test_a_price_that_no_number_has(lcphone, taken, tmp_path):
    """Ends with exit code 2 and names the lines of the price list; the report does too."""
    prices, out = tmp_path / "prices.csv", tmp_path / "report.html"
    prices.write_text("country_code,type,price\nVA,national,1\nUS,local,1\nUS,Local,2\n")
    for verb in (["costs"], ["report", "--out", str(out)]):
        done = lcphone.run("audit", *verb, "--store", taken, "--prices", str(prices))
        assert done.code == 2
        (line,) = done.err.splitlines()
        assert "line 2: no number of the run" in line
        assert "line 4: country and type are those of line 3" in line
    assert not out.exists()


@pytest.mark.exhaustive
def test_report(lcphone, taken, tmp_path):
    """Writes a report, in one file."""
    out = tmp_path / "report.html"
    done = lcphone.run("audit", "report", "--store", taken, "--out", str(out))
    assert done.code == 0
    assert "<h1>Phone number audit</h1>" in out.read_text()


@pytest.mark.exhaustive
def test_a_store_that_is_none(lcphone, tmp_path):
    """Exits 6 with one line if a file is missing or is not a store."""
    other = tmp_path / "other"
    other.write_text("x")
    for store, problem in ((other, "not a store"), (tmp_path / "none", "no such file")):
        for verb in ("findings", "costs"):
            run = lcphone.run("audit", verb, "--store", str(store))
            assert (run.code, len(run.err.splitlines())) == (6, 1)
            assert problem in run.err


def run_without(command, missing, *arguments):
    """Runs the command without some packages."""
    program = f"import sys; sys.modules |= dict.fromkeys({missing!r}); sys.argv[0] = 'lcphone';"
    program += "from lcphone_async.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, "audit", *arguments],
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        (["duckdb"], "audit", ["costs"]),
        (["pyarrow"], "audit", ["findings"]),
        (["distributed"], "dask", ["run", "a", "--dask", "tcp://x:1", "--redis", "redis://x"]),
    ],
)
def test_without_the_extra_it_says_what_to_install(bare, store, missing, extra, arguments):
    """Prints one line with the extra if one of its packages is missing."""
    done = run_without(bare, missing, *arguments, "--store", store)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"pip install 'lcphone-async[{extra}]'" in line


@pytest.mark.sample(1)
@pytest.mark.parametrize("scheduler", ["nonsense://x:1", "tcp://x", "tls://127.0.0.1:9"])
def test_a_scheduler_that_is_none(lcphone, store, scheduler):
    """Prints one line if there is no Dask cluster at an address."""
    cluster = ("--dask", scheduler, "--redis", "redis://127.0.0.1:9")
    done = lcphone.run("audit", "run", "a", "--store", store, *cluster)
    assert done.complaint.startswith(f"Error: no Dask scheduler at {scheduler}: ")


@pytest.mark.exhaustive
def test_an_audit_needs_neither_dask_nor_redis(lcphone, store):
    """Audits if only the extra `audit` is installed."""
    done = run_without(lcphone, ["distributed", "redis"], "run", "a", "--store", store)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_needs_no_extra(bare):
    """Shows its help without importing heavy packages."""
    program = "import sys; sys.modules['duckdb'] = sys.modules['pyarrow'] = None;"
    program += "sys.argv = ['lcphone', 'audit', 'run', '--help'];"
    program += "from lcphone_async.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=bare.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Exit codes: 0 everything was seen" in " ".join(done.stdout.split())


@pytest.mark.exhaustive
def test_all_locations_of_an_agency(bare, store):
    """Visits every location of the agency that has the app, each with its own token."""
    app = OAuthSettings(
        client_id="app-1",
        client_secret="secret",
        app_id="app-1",
        company_id="company-1",
        locations=["loc1", "loc2", "loc3"],
    )
    with Sandbox(oauth_app=app).in_thread() as sandbox:
        settings = {"LCPHONE_BASE_URL": sandbox.url, "LCPHONE_CLIENT_SECRET": "secret"}
        lcphone = evolve(bare, settings=settings)
        code = sandbox.oauth.authorize()
        assert lcphone.run("login", "--agency", "--client-id", "app-1", given=code).code == 0
        run = ("audit", "run", "--installed", "--app", "app-1", "--store", store, "--json")
        done = lcphone.run(*run)
    assert (done.code, done.lines[0]["coverage"]) == (0, {"complete": 3})
    out = Path(store).with_name("out.csv")
    lcphone.run(
        "audit",
        "export",
        "--table",
        "locations",
        "--store",
        store,
        "--format",
        "csv",
        "--out",
        str(out),
    )
    assert "Location loc2" in out.read_text()


@pytest.mark.exhaustive
def test_locations_that_are_not_active(forks, journal, store):
    """Exits 0, and prints the inactive locations."""
    app = OAuthSettings(client_id="app-1", client_secret="s", locations=["a", "b"])
    with Sandbox(oauth_app=app).in_thread() as sandbox:
        settings = {"LCPHONE_BASE_URL": sandbox.url, "LCPHONE_CLIENT_SECRET": "s"}
        command, code = Command(forks, journal, settings), sandbox.oauth.authorize()
        assert command.run("login", "--agency", "--client-id", "app-1", given=code).code == 0
        sandbox.oauth.suspended.add("b")
        done = command.run("audit", "run", "--installed", "--app", "app-1", "--store", store)
        again = command.run("audit", "run", "--resume", "--store", store, "--json")
    assert (done.code, again.code) == (0, 0)
    assert done.err.splitlines()[-1].startswith("Note: b: inactive: ")
    assert again.lines[0]["coverage"] == {"complete": 1, "inactive": 1}


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "text", ["Phone system is not connected to this account", "No Twilio account found"]
)
def test_locations_without_a_phone_system(lcphone, lcphone_sandbox, store, text):
    """Ends with 0, without a complaint."""
    lcphone_sandbox.faults.append(Fault(status=404, body={"message": text}))
    done = lcphone.run("audit", "run", "a", "b", "--store", store, "--json")
    assert done.code == 0
    assert done.lines[0]["coverage"] == {"not connected": 2}
    assert "rror" not in done.err
