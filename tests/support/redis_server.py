"""Redis on free local ports: one server, a master with Sentinel, a cluster."""

import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from redis.asyncio import Sentinel

_DOCS = Path(__file__).parents[2] / "docs" / "redis.md"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class RedisServer:
    """A server on the same port after each `start`; `stop` discards its data.

    `options` are those of the command line, such as `"--maxmemory-policy", "allkeys-lru"`.
    """

    program = shutil.which("redis-server") or shutil.which("valkey-server")

    def __init__(self, *options):
        self.port = free_port()
        self.command = [self.program, "--save", "", "--appendonly", "no"]
        self._options = options
        self._folder = None
        self._process = None

    def start(self):
        options = ["--bind", "127.0.0.1", "--port", str(self.port), *self._options]
        self._folder = TemporaryDirectory()  # replicas and clusters write files there
        self._process = subprocess.Popen(
            [*self.command, *options], stdout=subprocess.DEVNULL, cwd=self._folder.name
        )
        self._wait_until_it_answers()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._folder.cleanup()

    def pause(self):
        """Suspends the server: it accepts connections but sends no responses."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        """Resumes the server, which then processes the commands in its queue."""
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command):
        """Returns the reply to a command, one element per line."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
            sock.sendall(b"*%d\r\n" % len(parts))
            sock.sendall(b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            return sock.recv(1_000_000).decode()

    def user(self, name):
        """Options of redis-py for a user with exactly the documented permissions."""
        text = _DOCS.read_text(encoding="utf-8")
        (line,) = re.findall(rf"^ACL SETUSER {name} .*$", text, re.MULTILINE)
        assert self.ask(*line.split()) == "+OK\r\n"
        return {"port": self.port, "username": name, "password": "secret"}

    def wait_for(self, text, *command, without="\0"):
        """Returns once the reply to a command contains one text and lacks the other."""
        for _ in range(2_000):
            with suppress(ConnectionError):  # a Sentinel closes all connections after a failover
                if text in (reply := self.ask(*command)) and without not in reply:
                    return
            time.sleep(0.01)
        raise TimeoutError(self.ask(*command))

    def _wait_until_it_answers(self):
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
            else:
                return
        raise TimeoutError


class WatchedMaster:
    """A master, its replicas, and a Sentinel that promotes one of them if the master dies."""

    sentinel_program = shutil.which("redis-sentinel") or shutil.which("valkey-sentinel")
    name = "master"

    def __init__(self, folder, replicas=1):
        self.master = RedisServer("--repl-diskless-sync-delay", "0")
        of_master = ("--replicaof", "127.0.0.1", str(self.master.port))
        self.replicas = [
            RedisServer(*of_master, "--repl-diskless-sync-delay", "0") for _ in range(replicas)
        ]
        self._file = folder / "sentinel.conf"
        self.sentinel = RedisServer()
        self.sentinel.command = [self.sentinel_program, str(self._file)]

    def __enter__(self):
        self._stack = ExitStack()
        self._stack.enter_context(self.master)
        for replica in self.replicas:
            self._stack.enter_context(replica)
            replica.wait_for("master_link_status:up", "INFO", "replication")
        self._file.write_text(
            f"sentinel monitor {self.name} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {self.name} 500\n"
            f"sentinel failover-timeout {self.name} 5000\n"
        )
        self._stack.enter_context(self.sentinel)
        self._wait_for_sentinel(f"num-slaves\r\n$1\r\n{len(self.replicas)}\r\n")
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    @asynccontextmanager
    async def client(self):
        """A redis-py client of the current master."""
        sentinel = Sentinel([("127.0.0.1", self.sentinel.port)])
        async with sentinel.master_for(self.name) as redis:
            yield redis
        for each in sentinel.sentinels:
            await each.aclose()

    def cut_off_the_replicas(self):
        """Disconnects the replicas from the master; they keep their data."""
        for replica in self.replicas:
            replica.ask("CONFIG", "SET", "masteruser", "nobody", "masterauth", "nothing")
        self.master.ask("CLIENT", "KILL", "TYPE", "replica")
        self.master.wait_for("connected_slaves:0", "INFO", "replication")

    def fail_over(self):
        """Kills the master; returns once a replica is promoted."""
        self.master.stop()
        self._wait_for_sentinel("\r\nflags\r\n$6\r\nmaster\r\n", str(self.master.port))

    def _wait_for_sentinel(self, text, without="\0"):
        self.sentinel.wait_for(text, "SENTINEL", "MASTER", self.name, without=without)


class RedisCluster:
    """Three masters that share the slots; each serves its own even if another is down."""

    def __init__(self):
        self._bus_ports = [free_port() for _ in range(3)]
        self.shards = [
            RedisServer(
                *("--cluster-enabled", "yes", "--cluster-port", str(port)),
                *("--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"),
            )
            for port in self._bus_ports
        ]

    def __enter__(self):
        self._stack = ExitStack()
        for number, shard in enumerate(self.shards):
            self._stack.enter_context(shard)
            first, last = 16384 * number // 3, 16384 * (number + 1) // 3 - 1
            shard.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            first_shard = (self.shards[0].port, self._bus_ports[0])
            shard.ask("CLUSTER", "MEET", "127.0.0.1", *first_shard)
        for shard in self.shards:
            shard.wait_for("cluster_known_nodes:3", "CLUSTER", "INFO")
            shard.wait_for("cluster_state:ok", "CLUSTER", "INFO")
            shard.wait_for("cluster_slots_assigned:16384", "CLUSTER", "INFO")
        return self

    def __exit__(self, *exc_info):
        self._stack.close()
