"""Checks that the wheel of a folder works where nothing else is installed.

python .ci/packages.py DIST INTERPRETER ...     # with `uv` on the PATH
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

EVERY_NAME = """
import asyncio, lcphone_async
from lcphone_async.sandbox import Sandbox

for name in lcphone_async.__all__:
    getattr(lcphone_async, name)

async def main():
    async with Sandbox() as sandbox:
        async with lcphone_async.LCPhoneClient("any", base_url=sandbox.url) as client:
            found = await client.search_available("loc", "US")
            order = dict(fingerprint_id=found.fingerprint_id)
            bought = await client.purchase("loc", found.numbers[0], **order)
            owned = [number.phone_number async for number in client.active_numbers("loc")]
            assert bought.number in owned, owned
            assert sandbox.location("loc").numbers

asyncio.run(main())
"""


class Environment:
    """An empty environment of an interpreter, with nothing of its user's."""

    def __init__(self, interpreter: str, folder: str) -> None:
        self.bin = Path(folder, "venv", "bin")
        self.home = folder
        self.uv("venv", "-q", "--python", interpreter, str(self.bin.parent))

    def uv(self, *arguments: str) -> None:
        subprocess.run(["uv", *arguments], check=True)

    def install(self, what: str) -> None:
        self.uv("pip", "install", "-q", "--python", str(self.bin / "python"), what)

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """How a program of the environment ends; its warnings are errors."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            input=given,
            cwd=self.home,
            env={"HOME": self.home, "PATH": os.defpath, "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
        )

    def works(self, *command: str, given: str = "") -> str:
        """What a program prints that ends well."""
        done = self.run(*command, given=given)
        assert done.returncode == 0, (command, done)
        return done.stdout + done.stderr

    def asks_for(self, extra: str, *command: str) -> None:
        """Expects one line that says what to install; exit code 1, and nothing on stdout."""
        done = self.run(*command)
        assert (done.returncode, done.stdout) == (1, ""), (command, done)
        (line,) = done.stderr.splitlines()
        assert f"run `pip install 'lcphone-async[{extra}]'` first" in line, line

    def import_asks_for(self, extra: str, room: str, name: str) -> None:
        """The same of an import, whose traceback is the program's own."""
        done = self.run("python", "-c", f"from lcphone_async.{room} import {name}")
        assert f"run `pip install 'lcphone-async[{extra}]'` first" in done.stderr.splitlines()[-1]


def check_installed(wheel: Path, interpreter: str) -> None:
    """Uses the wheel alone, then with the extra `cli`, then with `audit` too."""
    with TemporaryDirectory() as folder:
        alone = Environment(interpreter, folder)
        alone.install(str(wheel))
        alone.works("python", "-c", EVERY_NAME)
        alone.asks_for("cli", "lcphone", "demo")
        alone.asks_for("cli", "python", "-m", "lcphone_async", "demo")
        alone.import_asks_for("audit", "audit", "audit")
        alone.import_asks_for("dask", "audit", "audit_on_dask")
        alone.import_asks_for("redis", "redis", "RedisRateLimiter")
        alone.install(f"{wheel}[cli]")
        alone.works("lcphone", "demo")
        alone.works("python", "-m", "lcphone_async", "demo")
        alone.asks_for("audit", "lcphone", "audit", "costs", "--store", "any")
        assert "keyring" in alone.works("lcphone", "login", "--help")
        assert str(folder) in alone.works("lcphone", "login", given="pit-any\n")
        alone.install(f"{wheel}[cli,audit]")
        alone.import_asks_for("report", "audit", "report")
        alone.asks_for("report", "lcphone", "audit", "report", "--store", "any", "--out", "any")


def main(dist: str, *interpreters: str) -> None:
    """Checks all, and prints what was checked."""
    (wheel,) = Path(dist).glob("*.whl")
    for interpreter in interpreters:
        check_installed(wheel.resolve(), interpreter)
        print(f"{wheel.name} works alone on {interpreter}")


if __name__ == "__main__":
    main(*sys.argv[1:])
