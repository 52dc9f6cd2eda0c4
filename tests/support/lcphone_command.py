"""Runs the `lcphone` command as a process."""

import json
import os
import pty
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile

from attrs import evolve, field, frozen

from support.forks import Forks

TOKEN = "pit-very-secret"
COMMAND = (sys.executable, "-W", "error", "-m", "lcphone_async")


@frozen
class Outcome:
    """The exit code and the output of a run."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self):
        """The single error line of a failed run."""
        assert self.code == 1, self
        (line,) = self.err.splitlines()
        assert line.startswith("Error: ")
        return line


@frozen
class Command:
    """The command, with no LC Phone variables in its environment except `settings`.

    It always has its own journal and configuration folder, so no run touches the user's.
    """

    forks: Forks
    journal: Path
    settings: dict[str, str] = field(factory=dict)

    def for_url(self, url):
        """The command with a token and a location, for a service at `url`."""
        settings = {"BASE_URL": url, "TOKEN": TOKEN, "LOCATION_ID": "loc1"}
        named = {f"LCPHONE_{name}": value for name, value in settings.items()}
        return evolve(self, settings=named)

    def run(self, *arguments, given="", **settings):
        """Returns the outcome of a run with the text `given` on stdin."""
        with ExitStack() as stack:
            files = [stack.enter_context(TemporaryFile("w+", encoding="utf-8")) for _ in range(3)]
            files[0].write(given)
            files[0].seek(0)
            numbers = [file.fileno() for file in files]
            code = self.forks.run(arguments, self.environment(**settings), *numbers)
            for file in files:
                file.seek(0)
            _, out, err = (file.read() for file in files)
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        assert TOKEN not in out + err
        return Outcome(code, out, err)

    def start(self, *arguments, **options):
        """Starts a process, with pipes for its output by default."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*COMMAND, *arguments], env=self.environment(), **{**pipes, **options}
        )

    def answered(self, answer, *arguments, question=b"? [y/N]:", then=()):
        """Returns the exit code, stdout and terminal of a run that asks a person a question.

        `then` holds further questions and their answers. Wait for the space after the colon before
        a hidden answer: input that was typed earlier is flushed.
        """
        ours, its = pty.openpty()
        with self.start(*arguments, stdin=its, stderr=its) as process:
            os.close(its)
            said = b""
            for asked, given in [(question, answer), *then]:
                while asked not in said:
                    said += os.read(ours, 1000)
                os.write(ours, given)
            out = process.stdout.read()
        with suppress(OSError):  # the other end of the terminal is closed
            while more := os.read(ours, 1000):
                said += more
        os.close(ours)
        return process.returncode, out.decode(), said.decode()

    def environment(self, **settings):
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LCPHONE_") and name not in {"COLUMNS", "FORCE_COLOR"}
        }
        fixed = {
            "PYTHONIOENCODING": "utf-8",
            "LCPHONE_JOURNAL": str(self.journal),
            "XDG_CONFIG_HOME": str(self.journal.parent / "config"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        return {**kept, **fixed, **self.settings, **settings}
