"""`vulnerabilities` fails for a finding, and only for a finding, of a stand-in for the service."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

SCRIPT = Path(__file__).with_name("vulnerabilities")
HOLE = {
    "id": "PYSEC-2010-1",
    "details": "A hole.",
    "modified": "2010-01-01T00:00:00Z",
    "affected": [{"package": {"name": "any", "ecosystem": "PyPI"}, "versions": ["2.4.1"]}],
}


class _Service(BaseHTTPRequestHandler):
    """Knows of a hole in each release that it is told of, as OSV answers."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["package"]["name"] in self.server.known
        answer = json.dumps({"vulns": [HOLE]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args):
        """Is quiet."""


@pytest.fixture
def service():
    """A service that knows of a hole in each release of the names in its `known`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def audit(tmp_path):
    """A function: how the script ends for two releases, with the service on a port."""
    releases = tmp_path / "releases.txt"
    releases.write_text("aiohttp==9.9\nattrs==9.9\n")

    def run(port):
        told = {
            "PIP_AUDIT_VULNERABILITY_SERVICE": "osv",
            "PIP_AUDIT_OSV_URL": f"http://127.0.0.1:{port}",
        }
        return subprocess.run(
            [SCRIPT, releases],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_finding_fails(audit, service):
    """Names the release, with exit code 1."""
    service.known = {"jinja2", "attrs"}
    done = audit(service.server_port)
    assert done.returncode == 1
    assert "attrs 9.9" in " ".join(done.stdout.split())


def test_no_finding_passes(audit, service):
    """Says that nothing is known."""
    service.known = {"jinja2"}
    done = audit(service.server_port)
    assert done.returncode == 0
    assert "No known vulnerabilities found" in done.stdout


def test_a_service_without_answers_is_told(audit, service):
    """Passes, and says that nothing was audited, where even an old hole is not known."""
    service.known = set()
    done = audit(service.server_port)
    assert done.returncode == 0
    assert done.stdout.startswith("NOT AUDITED")


def test_no_service_is_told(audit):
    """Passes, and says that nothing was audited, where nothing listens."""
    done = audit(port=1)
    assert done.returncode == 0
    assert done.stdout.startswith("NOT AUDITED")
