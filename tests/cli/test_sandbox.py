"""`lcphone sandbox` as a process: its options, and errors at the start."""

import json
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import get_args

import attrs
import pytest

from lcphone_async.sandbox import Fault
from lcphone_async.sandbox.faulty.rules import Damage
from lcphone_async.sandbox.wire.profiles import PROFILES

LIST = "/phone-system/numbers/location/loc1?pageSize=1&skipNumberPool=false"


class Service:
    """A running `lcphone sandbox`, seen from a program in another language."""

    def __init__(self, url):
        self.url = url

    def ask(self, path=LIST, token="any", data=None, version="v3", host=None):  # noqa: S107
        """The status and the body of an answer."""
        headers = {"Authorization": f"Bearer {token}", "Version": version}
        if host is not None:
            headers["Host"] = host
        request = urllib.request.Request(self.url + path, data=data, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture
def running(bare):
    """Runs the command with options, until the block ends."""

    @contextmanager
    def run(*options):
        with bare.start("sandbox", *options) as process:
            try:
                yield Service(process.stdout.readline().decode().strip())
            finally:
                process.terminate()
                out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, b"", b"")

    return run


@pytest.mark.exhaustive
def test_locations_and_numbers(running):
    """Serves only the locations of `--location`, each with its numbers."""
    with running("--location", "loc1=7", "--location", "loc2", "--numbers", "9") as service:
        assert service.ask()[1]["data"]["total"] == 7
        assert service.ask(LIST.replace("loc1", "loc2"))[1]["data"]["total"] == 9
        assert service.ask(LIST.replace("loc1", "loc3"))[0] == 401


@pytest.mark.exhaustive
def test_tokens(running):
    """Accepts only the tokens of `--token`."""
    with running("--token", "pit-a", "--token", "pit-b") as service:
        assert [service.ask(token=token)[0] for token in ("pit-a", "pit-b", "pit-c")] == [
            200, 200, 401,
        ]  # fmt: skip


@pytest.mark.exhaustive
def test_an_oauth_app(running):
    """Issues an app's first tokens over HTTP, and accepts only those."""
    with running("--oauth", "client_id=app,client_secret=s3cret,expires_in=60") as service:
        assert service.ask()[0] == 401
        status, grant = service.ask("/__sandbox__/install", data=b'{"location_id": "loc1"}')
        assert (status, grant["expires_in"]) == (201, 60)
        assert service.ask(token=grant["access_token"])[0] == 200


@pytest.mark.exhaustive
def test_allowed_hosts(running):
    """Refuses the control endpoints under another host name unless it is allowed."""
    state = "/__sandbox__/state"
    with running("--allowed-host", "sandbox", "--allowed-host", "lcphone") as service:
        hosts = ("sandbox:8080", "lcphone", "rebound.example")
        assert [service.ask(state, host=host)[0] for host in hosts] == [200, 200, 403]
        assert "--allowed-host" in service.ask(state, host="rebound.example")[1]["message"]


@pytest.mark.exhaustive
def test_profiles_and_strict(running):
    """Has the variants of `--profile`, and requires all documented fields with `--strict`."""
    with running("--profile", "bare-list", "--profile", "rfc2822-dates", "--strict") as service:
        _, (number,) = service.ask()
        assert number["dateAdded"].endswith("+0000")
        status, refusal = service.ask("/phone-system/numbers/location/loc1/available")
        assert (status, refusal["message"]) == (400, "firstPart is required")


@pytest.mark.exhaustive
def test_faults(running, tmp_path):
    """Injects the faults of the command line and of a file."""
    file = tmp_path / "faults.json"
    file.write_text('[{"operation": "pools", "status": 503, "retry_after": 7}]')
    rule = "operation=active, nth=2, status=502"
    with running("--fault", rule, "--fault", '{"delay": 0.001}', "--faults", file) as service:
        assert [service.ask()[0] for _ in range(3)] == [200, 502, 200]
        assert service.ask("/phone-system/number-pools?locationId=loc1")[0] == 503


@pytest.mark.exhaustive
def test_limits_seed_and_record(running, tmp_path):
    """Keeps the limit of `--max-requests`, generates numbers from the seed, and records traffic."""
    file = tmp_path / "traffic.jsonl"
    with running("--max-requests", "1", "--seed", "5", "--record", file) as service:
        _, first = service.ask()
        assert service.ask()[0] == 429
    with running("--seed", "6") as service:
        assert service.ask()[1] != first
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["answer"]["status"] for line in lines] == [200, 429]


def test_the_list_of_profiles(bare):
    """Lists every profile and every effect of a fault on one line each."""
    listed = bare.run("sandbox", "--list")
    assert listed.code == 0
    lines = listed.out.splitlines()
    profiles = lines[: len(PROFILES)]
    assert [line.split()[:2] for line in profiles] == [[p.name, p.ground] for p in PROFILES]
    effects = {line.split()[0] for line in lines[len(PROFILES) :]}
    rule = {"operation", "location", "nth", "probability", "times", "limit", "point"}
    fields = {field.alias for field in attrs.fields(Fault)}
    assert effects == fields - rule - {"retry_after", "body"}
    assert all(damage in lines[-1] for damage in get_args(Damage))


@pytest.mark.exhaustive
def test_a_list_that_lags(running):
    """Lists a bought number after `--list-lag`."""
    with running("--list-lag", "600", "--location", "loc1=7") as service:
        order = b'{"phoneNumber": "+18305551234"}'
        path = "/phone-system/numbers/location/loc1/purchase"
        assert service.ask(path, data=order)[0] == 201
        assert service.ask()[1]["data"]["total"] == 7


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--fault", "status"], "name=value"),
        (["--fault", "status=20"], "status"),
        (["--fault", "operation=buy,status=500"], "operation"),
        (["--profile", "bear-list"], "--list"),
        (["--profile", "bare-list", "--profile", "data-list"], "exclude"),
        (["--oauth", "client=x"], "client_id"),
        (["--numbers", "-1"], "numbers_per_location"),
    ],
)
def test_a_bad_option_is_one_line(bare, options, reason):
    """Prints one line for an invalid option, and does not start."""
    assert reason in bare.run("sandbox", *options).complaint


def test_a_bad_location_or_file(bare, tmp_path):
    """Names the option if click refuses it."""
    for options in (["--location", "loc1=many"], ["--faults", str(tmp_path / "none")]):
        refused = bare.run("sandbox", *options)
        assert refused.code == 2
        assert options[0] in refused.err


def test_a_host_that_is_not_here(bare):
    """Prints one line if it cannot listen on the address."""
    assert "203.0.113.1" in bare.run("sandbox", "--host", "203.0.113.1").complaint


def test_a_busy_port(bare, lcphone_sandbox):
    """Prints the port that is in use, and advice."""
    port = lcphone_sandbox.url.rpartition(":")[2]
    complaint = bare.run("sandbox", "--port", port).complaint
    assert f"port {port} is in use" in complaint
    assert "--port 0" in complaint
