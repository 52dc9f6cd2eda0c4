"""A signal that ends the command in the middle of a refresh costs no installation."""

import signal
import time

import pytest

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from support.lcphone_command import Command

SECRET = "the-client-secret"


@pytest.fixture
def app():
    """A sandbox whose access tokens live for a second, and whose token endpoint is slow."""
    settings = OAuthSettings(client_id="app-1", client_secret=SECRET, expires_in=1)
    with Sandbox(oauth_app=settings).in_thread() as sandbox:
        yield sandbox


@pytest.fixture
def logged_in(forks, app, journal):
    """The command after a login whose access token has expired."""
    settings = {"LCPHONE_BASE_URL": app.url, "LCPHONE_CLIENT_SECRET": SECRET}
    command = Command(forks, journal, settings)
    code = app.oauth.authorize("loc1")
    assert command.run("login", "--client-id", "app-1", given=code).code == 0
    time.sleep(1.1)
    return command


def refreshes(app):
    return [e.outcome for e in app.oauth.ledger if e.grant_type == "refresh_token"]


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGHUP], 129),
        ([signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGTERM], 143),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGTERM], 143),
        ([signal.SIGTERM, signal.SIGINT], 143),
    ],
    ids=str,
)
def test_a_refresh_is_kept(app, logged_in, signals, code):
    """Keeps the new tokens, though a signal comes before them."""
    app.faults.append(Fault(operation="token", point="after", delay=1.0, times=1))
    with logged_in.start("pools", "--location", "loc1") as process:
        while not refreshes(app):  # the service has acted, and its answer is on its way
            time.sleep(0.02)
        for each in signals:
            process.send_signal(each)
            time.sleep(0.2)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, b"", b"")
    assert logged_in.run("pools", "--location", "loc1").code == 0
    assert set(refreshes(app)) == {"issued"}


@pytest.mark.exhaustive
def test_an_ignored_signal_stays_ignored(app, logged_in):
    """Goes on after SIGHUP under nohup."""
    app.faults.append(Fault(operation="pools", delay=0.5, times=1))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = logged_in.start("pools", "--location", "loc1")
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        while not refreshes(app):
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 0
