"""`lcphone login`, `whoami` and `locations`: a token that is kept, and never shown."""

import json
import stat
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox, TokenSettings
from support.lcphone_command import TOKEN, Command
from support.mounts import mounted, read_only

SECRET, COMPANY = "the-client-secret", "company-1"


@pytest.fixture
def app():
    """A sandbox whose app is installed in three locations."""
    settings = OAuthSettings(
        client_id="app-1",
        client_secret=SECRET,
        app_id="app-1",
        company_id=COMPANY,
        locations=["loc1", "loc2", "loc3"],
    )
    tokens = {TOKEN: TokenSettings(scopes=["numberpools.read"])}
    with Sandbox(oauth_app=settings, tokens=tokens).in_thread() as sandbox:
        yield sandbox


@pytest.fixture
def outside(forks, app, journal):
    """The command for a sandbox that wants real tokens, without any."""
    settings = {"LCPHONE_BASE_URL": app.url, "LCPHONE_CLIENT_SECRET": SECRET}
    return Command(forks, journal, settings)


@pytest.fixture
def keyring(journal):
    """The environment of a keyring that keeps its passwords in a file for a test to read."""
    folder = journal.parent / "keyring"
    folder.mkdir()
    (folder / "testing_keyring.py").write_text(
        textwrap.dedent(
            """
            import json, pathlib
            from keyring.backend import KeyringBackend

            FILE = pathlib.Path(__file__).with_name("passwords.json")

            class Keyring(KeyringBackend):
                priority = 5

                def _all(self):
                    return json.loads(FILE.read_text()) if FILE.exists() else {}

                def get_password(self, service, username):
                    return self._all().get(f"{service} {username}")

                def set_password(self, service, username, password):
                    FILE.write_text(json.dumps({**self._all(), f"{service} {username}": password}))

                def delete_password(self, service, username):
                    kept = self._all()
                    del kept[f"{service} {username}"]
                    FILE.write_text(json.dumps(kept))
            """
        )
    )
    return {"PYTHONPATH": str(folder), "PYTHON_KEYRING_BACKEND": "testing_keyring.Keyring"}


def with_settings(command, **settings):
    return evolve(command, settings={**command.settings, **settings})


def secrets_of(sandbox):
    return [SECRET, TOKEN, *sandbox.oauth._accesses, *sandbox.oauth._refreshes]


def unseen(sandbox, *outcomes):
    for outcome in outcomes:
        for secret in secrets_of(sandbox):
            assert secret not in outcome.out + outcome.err


def kept_files(journal):
    return [path for path in journal.parent.rglob("*") if path.is_file() and "logins" in str(path)]


def test_a_token_is_kept_for_the_other_commands(bare, lcphone_sandbox, journal):
    """Keeps a pasted token in a 0600 file, and uses it if LCPHONE_TOKEN is not set."""
    command = with_settings(bare, LCPHONE_BASE_URL=lcphone_sandbox.url)
    kept = command.run("login", given=f"  {TOKEN}\n")
    assert kept.code == 0
    assert "Kept in" in kept.err
    assert len(command.run("numbers", "--location", "loc1", "--json").lines) == 90
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept_files(journal)} == {0o600}
    assert any(TOKEN in path.read_text() for path in kept_files(journal))


def test_a_token_goes_to_its_own_service_only(bare, lcphone_sandbox, raw_url):
    """Uses no token at a base URL for which it was not kept."""
    with_settings(bare, LCPHONE_BASE_URL=lcphone_sandbox.url).run("login", given=TOKEN)
    other = with_settings(bare, LCPHONE_BASE_URL=raw_url).run("numbers", "--location", "loc1")
    assert "run `lcphone login`" in other.complaint


@pytest.fixture
def raw_url():
    with Sandbox().in_thread() as sandbox:
        yield sandbox.url


def test_the_environment_goes_first(outside, app):
    """Prefers LCPHONE_TOKEN to a token that was kept."""
    outside.run("login", given=TOKEN)
    identity = outside.run("whoami", "--json", LCPHONE_TOKEN="pit-other")
    assert identity.lines[0]["kept_in"] == "LCPHONE_TOKEN"
    unseen(app, identity)


@pytest.mark.parametrize("text", ["", "two words", "pit-é"])
def test_what_is_no_token(outside, journal, text):
    """Refuses an invalid token, and keeps nothing."""
    outcome = outside.run("login", given=text + "\n")
    assert outcome.code == 1
    assert kept_files(journal) == []


def test_a_token_without_an_end(outside, journal):
    """Is not read for ever."""
    with Path("/dev/zero").open("rb") as endless:
        process = outside.start("login", stdin=endless)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.startswith(b"Error: ")
    assert b"is longer than 8,000 characters" in said
    assert kept_files(journal) == []


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://[bad", "http://10.0.0.1"])
def test_a_login_nowhere(bare, journal, url):
    """Keeps no token for a base URL that no call could be sent to."""
    assert "base_url must be" in bare.run("login", "--base-url", url, given=TOKEN).complaint
    assert kept_files(journal) == []


@pytest.mark.exhaustive
def test_whoami_of_a_private_token(outside, app):
    """Shows the kind of token, its scopes and the remaining limits."""
    outside.run("login", given=TOKEN)
    told = outside.run("whoami", "--location", "loc1", "--json")
    (identity,) = told.lines
    assert identity["kind"] == "a private integration token"
    assert identity["location_id"] == "loc1"
    assert identity["scopes"] == {
        "phonenumbers.read": False,
        "numberpools.read": True,
        "phonenumbers.write": None,
    }
    assert identity["limits"]["max_requests"] == 100
    shown = outside.run("whoami", "--location", "loc1")
    assert "numberpools.read" in shown.out
    unseen(app, told, shown)


def test_whoami_of_a_token_that_is_wrong(outside):
    """Prints one line if the token is wrong."""
    outside.run("login", given="pit-of-nobody")
    assert "Invalid token" in outside.run("whoami", "--location", "loc1").complaint


@pytest.mark.exhaustive
def test_the_code_of_a_location(outside, app, journal):
    """Exchanges a code, keeps the tokens, and renews them for the other commands."""
    kept = outside.run("login", "--client-id", "app-1", given=app.oauth.authorize("loc1"))
    assert kept.code == 0, kept
    told = outside.run("whoami", "--json")
    assert told.lines[0]["kind"] == "the tokens of an OAuth app"
    assert told.lines[0]["location_id"] == "loc1"
    assert told.lines[0]["scopes"]["phonenumbers.read"] is True
    for token in app.oauth._accesses:
        app.oauth.revoke(token)
    for _ in range(2):
        assert outside.run("numbers", "--location", "loc1").code == 0
    grants = [entry.grant_type for entry in app.oauth.ledger]
    assert grants == ["authorization_code", "refresh_token"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept_files(journal)} == {0o600}
    unseen(app, kept, told)


@pytest.mark.exhaustive
def test_the_code_of_an_agency(outside, app):
    """Lists the agency's locations, and reads each with a token of its own."""
    outside.run("login", "--agency", "--client-id", "app-1", given=app.oauth.authorize())
    listed = outside.run("locations", "--app", "app-1", "--json")
    assert [each["id"] for each in listed.lines] == ["loc1", "loc2", "loc3"]
    table = outside.run("locations", "--app", "app-1", "--query", "loc2")
    assert "Location loc2" in table.out
    assert "1 locations" in table.out
    assert outside.run("numbers", "--location", "loc2").code == 0
    told = outside.run("whoami", "--location", "loc3", "--json")
    assert told.lines[0]["kind"] == "an agency's token"
    assert told.lines[0]["company_id"] == COMPANY
    unseen(app, listed, table, told)


def test_a_code_that_is_no_good(outside, app, journal):
    """Prints the service's message, and keeps nothing."""
    outcome = outside.run("login", "--client-id", "app-1", given="code-of-nobody\n")
    assert "authorization code is invalid" in outcome.complaint
    assert "code-of-nobody" not in outcome.err
    assert {path.suffix for path in kept_files(journal)} == {".lock"}
    unseen(app, outcome)


@pytest.mark.exhaustive
def test_filters_of_locations(outside, app):
    """Sends the filters that were given, and no others."""
    code = app.oauth.authorize()
    outside.run("login", "--client-id", "app-1", "--agency", given=code)
    outside.run("locations", "--app", "app-1")
    plain = {"companyId": COMPANY, "appId": "app-1", "isInstalled": "true", "pageSize": "100"}
    assert dict(app.requests[-1].query) == plain
    filters = {"--version-id": "v1", "--plan-id": "p1", "--query": "q"}
    flags = ["--not-installed", "--on-trial", "--restrict-to-user-locations"]
    given = [each for pair in filters.items() for each in pair]
    outside.run("locations", "--app", "app-1", *flags, *given)
    assert dict(app.requests[-1].query) == {
        **plain,
        "isInstalled": "false",
        "query": "q",
        "versionId": "v1",
        "planId": "p1",
        "onTrial": "true",
        "restrictToUserLocations": "true",
    }
    old = outside.run("locations", "--app", "app-1", "--api-version", "2021-07-28", *flags)
    assert "api_version 'v3' alone" in old.complaint


@pytest.fixture
def broken_keyring(keyring, journal):
    """The environment of a keyring that takes no password."""
    name = journal.parent / "keyring" / "testing_keyring.py"
    name.write_text(
        name.read_text()
        + "\n    def set_password(self, *_):\n        raise OSError('it is locked')\n"
    )
    return keyring


def test_a_place_that_cannot_be_written(outside, app, journal):
    """Sends no code before it is known that its tokens can be kept."""
    code, config = app.oauth.authorize("loc1"), journal.parent / "config"
    config.mkdir()
    with read_only(config):
        refused = outside.run("login", "--client-id", "app-1", given=code)
    assert "Read-only file system" in refused.complaint
    assert app.oauth.ledger == []
    assert outside.run("login", "--client-id", "app-1", given=code).code == 0
    unseen(app, refused)


@pytest.mark.sample(2)
@pytest.mark.parametrize("free", [0, 1, 5, 9])
def test_a_disk_that_is_nearly_full(outside, app, journal, free):
    """Sends no code unless there is room for the login and for its tokens."""
    logins = journal.parent / "config" / "lcphone" / "logins"
    logins.mkdir(parents=True)
    code = app.oauth.authorize("loc1")
    with mounted(logins, "-t", "tmpfs", "-o", "size=128k", "tmpfs"):
        with (logins / "filling").open("wb", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(bytes(4096))
            file.truncate(file.tell() - free * 4096)
        kept = outside.run("login", "--client-id", "app-1", given=code)
        assert bool(app.oauth.ledger) == (kept.code == 0)
        if kept.code:
            assert "No space left on device" in kept.complaint
            assert not any(path.suffix == ".json" for path in logins.iterdir())
        else:
            assert outside.run("pools", "--location", "loc1").code == 0


def test_a_keyring_that_takes_nothing(outside, app, broken_keyring, journal):
    """Sends no code if the keyring cannot keep its tokens, and prints the reason."""
    command = with_settings(outside, **broken_keyring)
    refused = command.run("login", "--client-id", "app-1", given=app.oauth.authorize("loc1"))
    assert "the keyring: it is locked" in refused.complaint
    assert app.oauth.ledger == []
    unseen(app, refused)


def test_a_trial_leaves_nothing(outside, app, journal):
    """Keeps nothing if the code is invalid, though the place was tested."""
    outside.run("login", "--client-id", "app-1", given="code-of-nobody\n")
    assert {path.suffix for path in kept_files(journal)} == {".lock"}
    assert "run `lcphone login`" in outside.run("pools", "--location", "loc1").complaint


@pytest.mark.exhaustive
def test_a_login_is_not_replaced_without_a_word(outside, app, journal):
    """Keeps the earlier login, and sends no code, without `--replace`."""
    outside.run("login", "--client-id", "app-1", given=app.oauth.authorize("loc1"))
    kept = {path: path.read_text() for path in kept_files(journal)}
    for arguments in (["--client-id", "app-1"], []):
        refused = outside.run("login", *arguments, given=app.oauth.authorize("loc2"))
        assert "add --replace" in refused.complaint
    assert {path: path.read_text() for path in kept_files(journal)} == kept
    assert len(app.oauth.ledger) == 1
    code = app.oauth.authorize("loc2")
    assert outside.run("login", "--client-id", "app-1", "--replace", given=code).code == 0
    assert outside.run("whoami", "--json").lines[0]["location_id"] == "loc2"


@pytest.mark.exhaustive
def test_a_person_is_asked_before_a_login_is_replaced(outside, journal):
    """Keeps the earlier login after a no."""
    outside.run("login", given="pit-the-first-one")
    ended, _, terminal = outside.answered(b"n\n", "login")
    assert ended == 1
    assert "Replace the login in" in terminal
    (login,) = (path for path in kept_files(journal) if path.name.endswith(".login.json"))
    assert "pit-the-first-one" in login.read_text()


NO_LOGIN = [
    *("no login", "null", "[]", "{}", "5", "\0" * 99, "[" * 100_000, "\ufffd"),
    *('{"client_id": "app-1"}', '{"client_secret": "s"}', '{"company_id": "c"}', '{"token": 5}'),
    *('{"token": ""}', '{"client_id": 5, "client_secret": "s"}', '{"token": "t", "company_id": 7}'),
]


@pytest.mark.sample(1)
@pytest.mark.parametrize("text", NO_LOGIN, ids=lambda text: text[:40])
def test_a_file_that_holds_no_login(outside, journal, text):
    """Prints one line with the file and advice, and changes nothing."""
    outside.run("login", given=TOKEN)
    (login,) = (path for path in kept_files(journal) if path.name.endswith(".login.json"))
    login.write_text(text)
    refused = outside.run("pools", "--location", "loc1")
    assert f"{login} has no valid login: run `lcphone login` again" in refused.complaint
    assert login.read_text() == text
    assert outside.run("login", given=TOKEN).code == 0


@pytest.mark.exhaustive
def test_a_file_that_holds_no_tokens(outside, app, journal):
    """Prints one line with the file and advice, and changes nothing."""
    outside.run("login", "--client-id", "app-1", given=app.oauth.authorize("loc1"))
    (tokens,) = (path for path in kept_files(journal) if path.name.endswith(".tokens.json"))
    for text, says in [("\0" * 99, "delete it and authorize"), ("", "authorize the app first")]:
        tokens.write_text(text)
        refused = outside.run("pools", "--location", "loc1")
        assert f"the token file '{tokens}' holds" in refused.complaint
        assert says in refused.complaint
        assert tokens.read_text() == text


@pytest.mark.exhaustive
def test_what_is_no_login_is_replaced(outside, journal):
    """Asks nothing if a file has no login, or is blank."""
    outside.run("login", given="pit-the-first-one")
    (login,) = (path for path in kept_files(journal) if path.name.endswith(".login.json"))
    for text in ("no login", "", "\n"):
        login.write_text(text)
        assert outside.run("login", given=TOKEN).code == 0


@pytest.mark.parametrize("option", [["--company", COMPANY], ["--agency"]])
def test_a_location_s_code_as_an_agency_s(outside, app, journal, option):
    """Refuses a location's code if an agency was named, and keeps nothing."""
    body = {"access_token": "a", "refresh_token": "r", "locationId": "loc1", "userType": "Location"}
    app.faults.append(Fault(operation="token", status=200, body=body))
    code = app.oauth.authorize("loc1")
    refused = outside.run("login", "--client-id", "app-1", *option, given=code)
    assert "the code belongs to location loc1, not to an agency" in refused.complaint
    assert {path.suffix for path in kept_files(journal)} == {".lock"}
    unseen(app, refused)


@pytest.mark.exhaustive
def test_a_service_that_refuses_the_type_of_token(outside, app, journal):
    """Prints the service's message if a location's code is sent for an agency's tokens."""
    code = app.oauth.authorize("loc1")
    refused = outside.run("login", "--client-id", "app-1", "--agency", given=code)
    assert "401: Token's user type mismatch!" in refused.complaint
    assert "the code is of the wrong kind, a location's where an agency's is" in refused.complaint
    assert {path.suffix for path in kept_files(journal)} == {".lock"}
    assert outside.run("login", "--client-id", "app-1", given=code).code == 0


def test_another_agency_s_code(outside, app, journal):
    """Refuses an agency's code if another agency was named, and keeps nothing."""
    code = app.oauth.authorize()
    refused = outside.run("login", "--client-id", "app-1", "--company", "other", given=code)
    assert f"the code belongs to agency {COMPANY}, not to other" in refused.complaint
    assert {path.suffix for path in kept_files(journal)} == {".lock"}


@pytest.mark.exhaustive
def test_tokens_of_an_agency_where_none_was_named(outside, app):
    """Accepts a code that brings an agency's tokens, and reports it, also without `--agency`."""
    code = app.oauth.authorize()
    body = {"access_token": "a", "refresh_token": "r", "locationId": "", "userType": "Company"}
    app.faults.append(Fault(operation="token", status=200, body={**body, "companyId": COMPANY}))
    kept = outside.run("login", "--client-id", "app-1", given=code)
    assert f"It belongs to agency {COMPANY}" in kept.err
    assert outside.run("whoami", "--json").lines[0]["kind"] == "an agency's token"


def granted(app, **fields):
    """Limits the sandbox's next token response to these fields."""
    body = {"access_token": "a-token", "refresh_token": "r-token", **fields}
    app.faults.append(Fault(operation="token", status=200, body=body, times=1))
    return app.oauth.authorize()


DOUBTFUL = [
    (["--company", COMPANY], {}, "does not confirm that the code belongs to agency company-1"),
    (
        ["--company", COMPANY, "--agency"],
        {},
        "does not confirm that the code belongs to agency company-1",
    ),
    (["--agency"], {}, "name the agency with --company"),
    (["--agency"], {"userType": "Company"}, "name the agency with --company"),
    ([], {"userType": "Company"}, "name the agency with --company"),
    (["--company", COMPANY], {"userType": "Location"}, "belongs to a location, not to an agency"),
    (
        ["--agency"],
        {"userType": "Location", "companyId": COMPANY},
        "belongs to a location, not to an",
    ),
]


@pytest.mark.sample(1)
@pytest.mark.parametrize(("options", "told", "says"), DOUBTFUL)
def test_tokens_that_are_said_to_be_of_another_or_of_nobody(
    outside, app, journal, options, told, says
):
    """Keeps tokens as an agency's only if the service confirms it; else the earlier login stays."""
    assert outside.run("login", given=TOKEN).code == 0
    code = granted(app, **told)
    refused = outside.run("login", "--replace", "--client-id", "app-1", *options, given=code)
    assert "nothing was kept: " in refused.complaint
    assert says in refused.complaint
    assert "a-token" not in refused.err
    (login,) = (path for path in kept_files(journal) if path.name.endswith(".login.json"))
    assert TOKEN in login.read_text()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("options", "told", "kind"),
    [
        (["--company", COMPANY], {"companyId": COMPANY}, "an agency's token"),
        (["--company", COMPANY], {"userType": "Company"}, "an agency's token"),
        (["--agency"], {"companyId": COMPANY}, "an agency's token"),
        ([], {"userType": "Location", "companyId": COMPANY}, "the tokens of an OAuth app"),
        ([], {}, "the tokens of an OAuth app"),
    ],
)
def test_tokens_of_which_enough_is_said(outside, app, options, told, kind):
    """Keeps tokens whose kind the service states, or that were not asked to be an agency's."""
    code = granted(app, **told)
    assert outside.run("login", "--client-id", "app-1", *options, given=code).code == 0
    assert outside.run("whoami", "--json").lines[0]["kind"] == kind


@pytest.mark.sample(1)
@pytest.mark.parametrize(("answer", "kept"), [(b"y\n", True), (b"n\n", False)])
def test_a_person_says_whose_tokens_they_are(outside, app, journal, answer, kept):
    """Asks on a terminal if the service does not state it."""
    code = granted(app)
    ended, _, terminal = outside.answered(
        code.encode() + b"\n",
        *("login", "--client-id", "app-1", "--company", COMPANY),
        question=b"authorization: ",
        then=[(b"? [y/N]:", answer)],
    )
    assert "Do they belong to agency company-1?" in terminal
    assert ended == (0 if kept else 1)
    assert any(path.name.endswith(".login.json") for path in kept_files(journal)) == kept
    assert "a-token" not in terminal


def test_locations_wants_to_know_the_agency(outside):
    """Prints the missing option."""
    outcome = outside.run("locations", "--app", "a")
    assert outcome.code == 2
    assert "--company" in outcome.err


@pytest.mark.exhaustive
def test_a_keyring_goes_before_a_file(outside, app, keyring, journal):
    """Keeps the login in the keyring if there is one, and deletes that of a file."""
    outside.run("login", given=TOKEN)
    with_keyring = with_settings(outside, **keyring)
    code = app.oauth.authorize("loc1")
    kept = with_keyring.run("login", "--replace", "--client-id", "app-1", given=code)
    assert "Kept in the keyring" in kept.err
    assert with_keyring.run("numbers", "--location", "loc1").code == 0
    passwords = json.loads((journal.parent / "keyring" / "passwords.json").read_text())
    assert len(passwords) == 2
    for path in kept_files(journal):
        assert path.read_text() == ""  # a lock
    for token in app.oauth._accesses:
        app.oauth.revoke(token)
    for _ in range(2):
        assert with_keyring.run("numbers", "--location", "loc1").code == 0
    assert [e.grant_type for e in app.oauth.ledger].count("refresh_token") == 1
    again = with_keyring.run("login", "--replace", given=TOKEN)
    assert len(json.loads((journal.parent / "keyring" / "passwords.json").read_text())) == 1
    unseen(app, kept, again)


def test_a_person_pastes_a_token(bare, lcphone_sandbox):
    """Asks for the token on a terminal, and does not show it."""
    command = with_settings(bare, LCPHONE_BASE_URL=lcphone_sandbox.url)
    code, _, terminal = command.answered(TOKEN.encode() + b"\n", "login", question=b"Token: ")
    assert code == 0
    assert TOKEN not in terminal


def test_http_to_another_machine(bare, lcphone_sandbox):
    """Refuses to send a token in the clear, unless that is allowed by name."""
    url = lcphone_sandbox.url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104  # not loopback by name
    command = with_settings(bare, LCPHONE_BASE_URL=url, LCPHONE_TOKEN=TOKEN)
    refused = command.run("pools", "--location", "loc1").complaint
    assert "https://" in refused
    assert command.run("pools", "--location", "loc1", "--allow-http").code == 0
