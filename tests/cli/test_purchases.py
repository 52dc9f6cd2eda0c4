"""`lcphone purchases`: recorded purchases, also if the command was killed."""

import sqlite3
import stat
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from lcphone_async import PurchaseJournal
from lcphone_async.sandbox import Fault
from support.lcphone_command import Outcome
from support.mounts import read_only

LOCAL, OTHER = "+13126994095", "+18444038427"  # for sale in every sandbox


@pytest.fixture
def killed(lcphone, lcphone_sandbox):
    """Kills the command in the middle of a purchase, `before` or `after` the service acts."""

    def kill(point):
        lcphone_sandbox.faults.append(Fault(operation="purchase", point=point, damage="stall"))
        with lcphone.start("buy", LOCAL, "--yes") as process:
            deadline = time.monotonic() + 20
            while not posts(lcphone_sandbox):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
        lcphone_sandbox.faults.clear()

    return kill


def posts(sandbox):
    return [request for request in sandbox.requests if request.method == "POST"]


def make_older(journal):
    """Lets the purchases of a journal have begun an hour ago."""
    before = datetime.now(UTC) - timedelta(hours=1)
    change(journal, "UPDATE purchases SET sent_at = ?", before.isoformat())


def break_on(journal, event):
    """Lets a journal fail at an event, as a full disk would."""
    failing = "BEGIN SELECT abs(-9223372036854775807 - 1); END"
    change(journal, f"CREATE TRIGGER broken BEFORE {event} ON purchases {failing}")


def change(journal, statement, *values):
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute(statement, values)


@pytest.mark.sample(1)
@pytest.mark.parametrize("point", ["before", "after"])
def test_a_killed_purchase_is_in_the_journal(bare, journal, killed, point):
    """Was on the disk before it was sent, in private files; needs no token."""
    killed(point)
    (record,) = bare.run("purchases", "--json").lines
    assert (record["phone_number"], record["location_id"]) == (LOCAL, "loc1")
    assert record["state"] == "sending"
    assert record["fingerprint_id"]
    assert datetime.fromisoformat(record["sent_at"]).tzinfo
    assert {stat.S_IMODE(file.stat().st_mode) for file in journal.parent.iterdir()} == {0o600}


@pytest.mark.exhaustive
def test_settle_finds_what_was_bought(lcphone, lcphone_sandbox, killed):
    """Reports once that the killed purchase was bought, without buying anything."""
    killed("after")
    settled = lcphone.run("purchases", "--settle", "--json", LCPHONE_LOCATION_ID="")
    assert (settled.code, settled.err) == (0, f"{LOCAL} for loc1: bought\n")
    assert [line["state"] for line in settled.lines] == ["bought"]
    assert len(lcphone_sandbox.ledger) == len(posts(lcphone_sandbox)) == 1
    assert lcphone.run("purchases", "--settle").err == ""


@pytest.mark.exhaustive
def test_settle_waits_before_it_says_not_bought(lcphone, lcphone_sandbox, journal, killed):
    """Exits 1 as long as the purchase may still arrive, and later reports that it did not."""
    killed("before")
    early = lcphone.run("purchases", "--settle", "--json")
    assert (early.code, early.lines[0]["state"]) == (1, "unknown")
    assert early.err == f"{LOCAL} for loc1: unknown: it is not in the list yet: look again later\n"
    make_older(journal)
    late = lcphone.run("purchases", "--settle", "--json")
    assert (late.code, late.lines[0]["state"]) == (0, "not bought")
    assert late.err.startswith(f"{LOCAL} for loc1: not bought: ")
    assert lcphone_sandbox.ledger == []
    assert lcphone.run("buy", LOCAL, "--yes").code == 0


@pytest.mark.exhaustive
def test_an_open_purchase_is_not_made_again(lcphone, lcphone_sandbox, killed):
    """Sends nothing if a purchase of the number is open, and prints how to find out."""
    killed("before")
    refused = lcphone.run("buy", LOCAL, "--yes")
    last = refused.err.splitlines()[-1]
    assert refused.code == 1
    assert "nothing was sent" in last
    assert f"`lcphone purchases --settle --journal {lcphone.journal}`" in last
    assert len(posts(lcphone_sandbox)) == 1


@pytest.mark.exhaustive
def test_purchases_as_a_table(lcphone, lcphone_sandbox):
    """Shows number, location, state, time and reason of each, and which journal it was."""
    lcphone_sandbox.faults.append(
        Fault(operation="purchase", status=422, body={"message": "no \x1b[31mmoney"}, times=1)
    )
    assert lcphone.run("buy", LOCAL, "--yes").code == 1
    assert lcphone.run("buy", OTHER, "--yes").code == 0
    shown = lcphone.run("purchases", COLUMNS="200")
    header, _, refused, bought, empty, count = shown.out.splitlines()
    assert header.split() == ["Number", "Location", "State", "When", "Why"]
    assert refused.startswith(f"{LOCAL} ")
    assert refused.split()[2] == "refused"
    assert "no [31mmoney" in refused
    assert "\x1b" not in shown.out
    assert bought.split()[:3] == [OTHER, "loc1", "bought"]
    assert (empty, count) == ("", f"2 purchases in {lcphone.journal}")
    assert lcphone_sandbox.requests[-1].method == "POST"


def test_an_empty_journal(bare, journal):
    """Holds no purchases, as a table or as JSON."""
    assert bare.run("purchases", "--json") == Outcome(0, "", "")
    assert bare.run("purchases").out.endswith(f"\n0 purchases in {journal}\n")


def test_settle_needs_a_token(bare):
    """Prints one line if LCPHONE_TOKEN is not set."""
    assert "LCPHONE_TOKEN" in bare.run("purchases", "--settle").complaint


@pytest.mark.parametrize(
    "verb", [["purchases"], ["purchases", "--settle"], ["buy", LOCAL, "--yes"]]
)
@pytest.mark.parametrize("path", ["no such/folder", ".", "text"])
def test_a_journal_that_cannot_be_used(lcphone, lcphone_sandbox, tmp_path, verb, path):
    """Prints one line with its path, before anything is sent."""
    (tmp_path / "text").write_text("this is not a database, and long enough to tell\n" * 99)
    unusable = str(tmp_path / path)
    assert unusable in lcphone.run(*verb, "--journal", unusable).complaint
    assert lcphone_sandbox.requests == []


def test_a_journal_that_takes_no_purchase(lcphone, lcphone_sandbox, journal):
    """Sends nothing if the purchase cannot be recorded first."""
    PurchaseJournal(journal).close()
    break_on(journal, "INSERT")
    refused = lcphone.run("buy", LOCAL, "--yes")
    assert refused.code == 1
    last = refused.err.splitlines()[-1]
    assert last == f"Error: journal {journal}: integer overflow: nothing was sent"
    assert posts(lcphone_sandbox) == []


@pytest.mark.exhaustive
def test_a_journal_that_takes_no_outcome(lcphone, lcphone_sandbox, journal):
    """Reports that the number may be bought if the outcome cannot be recorded, and settles it."""
    PurchaseJournal(journal).close()
    break_on(journal, "UPDATE")
    doubtful = lcphone.run("buy", LOCAL, "--yes")
    assert doubtful.code == 1
    assert f"{LOCAL} may be bought or not (journal {journal}" in doubtful.err.splitlines()[-1]
    assert len(lcphone_sandbox.ledger) == 1
    assert str(journal) in lcphone.run("purchases", "--settle").complaint
    change(journal, "DROP TRIGGER broken")
    assert lcphone.run("purchases", "--settle").err == f"{LOCAL} for loc1: bought\n"


def test_the_usual_journal_is_the_users_own(lcphone, tmp_path):
    """Is created by a purchase in the user's private settings folder."""
    home = tmp_path / "home"
    places = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "LCPHONE_JOURNAL": ""}
    assert lcphone.run("purchases", **places).code == 0
    assert not home.exists()
    assert lcphone.run("buy", LOCAL, "--yes", **places).code == 0
    (journal,) = home.rglob("purchases.db")
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert journal.parent.name == "lcphone"
    assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700


def test_a_journal_through_a_link(lcphone, lcphone_sandbox, tmp_path):
    """Follows no symbolic link, prints one line, and sends nothing."""
    target, link = tmp_path / "target.db", tmp_path / "link.db"
    link.symlink_to(target)
    for verb in (["purchases"], ["purchases", "--settle"], ["buy", LOCAL, "--yes"]):
        complaint = lcphone.run(*verb, "--journal", str(link)).complaint
        assert f"journal {link}: symbolic links are not followed" in complaint
    assert not target.exists()
    assert lcphone_sandbox.requests == []


@pytest.mark.exhaustive
def test_a_journal_on_a_read_only_mount(lcphone, journal, killed, tmp_path):
    """Is listed unchanged; commands that write to it print one line."""
    killed("after")
    with read_only(tmp_path):
        (record,) = lcphone.run("purchases", "--json").lines
        assert record["state"] == "sending"
        for verb in (["purchases", "--settle"], ["buy", OTHER, "--yes"]):
            failed = lcphone.run(*verb)
            assert failed.code == 1
            assert f"journal {journal}: " in failed.err.splitlines()[-1]
