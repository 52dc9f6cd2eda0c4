"""Redis of one's own on free ports of loopback: one server, a master with Sentinel, a cluster."""

import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class RedisServer:
    """Started with `start`, ended with `stop`, on the same port each time; it forgets all then.

    `options` are those of the command: `"--maxmemory-policy", "allkeys-lru"`.
    """

    program = shutil.which("redis-server") or shutil.which("valkey-server")

    def __init__(self, *options):
        self.port = free_port()
        self.command = [self.program, "--save", "", "--appendonly", "no"]
        self._options = options
        self._process = None

    def start(self):
        options = ["--bind", "127.0.0.1", "--port", str(self.port), *self._options]
        self._process = subprocess.Popen([*self.command, *options], stdout=subprocess.DEVNULL)
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

    def pause(self):
        """It stands still: it accepts connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        """It goes on, with what was sent meanwhile."""
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command):
        """What it answers to a command, each part of the answer on a line."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
            sock.sendall(b"*%d\r\n" % len(parts))
            sock.sendall(b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            return sock.recv(1_000_000).decode()

    def wait_for(self, text, *command):
        """Returns once the answer to a command holds the text."""
        for _ in range(2_000):
            with suppress(ConnectionError):  # a Sentinel ends all of them after a failover
                if text in self.ask(*command):
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
    """A master, its replica, and a Sentinel that makes the replica the master if that dies."""

    sentinel_program = shutil.which("redis-sentinel") or shutil.which("valkey-sentinel")
    name = "purchases"

    def __init__(self, folder):
        self.master = RedisServer("--repl-diskless-sync-delay", "0")
        self.replica = RedisServer("--replicaof", "127.0.0.1", str(self.master.port))
        self._file = folder / "sentinel.conf"
        self.sentinel = RedisServer()
        self.sentinel.command = [self.sentinel_program, str(self._file)]

    def __enter__(self):
        self._stack = ExitStack()
        self._stack.enter_context(self.master)
        self._stack.enter_context(self.replica)
        self.replica.wait_for("master_link_status:up", "INFO", "replication")
        self._file.write_text(
            f"sentinel monitor {self.name} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {self.name} 500\n"
            f"sentinel failover-timeout {self.name} 5000\n"
        )
        self._stack.enter_context(self.sentinel)
        self.sentinel.wait_for("num-slaves\r\n$1\r\n1", "SENTINEL", "MASTER", self.name)
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def cut_off_the_replica(self):
        """The replica hears no more of the master, and stays as it is."""
        self.replica.ask("CONFIG", "SET", "masteruser", "nobody", "masterauth", "nothing")
        self.master.ask("CLIENT", "KILL", "TYPE", "replica")
        self.master.wait_for("connected_slaves:0", "INFO", "replication")

    def fail_over(self):
        """The master dies; returns once the replica has taken its place."""
        self.master.stop()
        self.replica.wait_for("role:master", "INFO", "replication")
        self.sentinel.wait_for("\r\nflags\r\n$6\r\nmaster\r\n", "SENTINEL", "MASTER", self.name)
        self.sentinel.wait_for(f"\r\n{self.replica.port}\r\n", "SENTINEL", "MASTER", self.name)


class RedisCluster:
    """Three masters that share the slots; each serves its own also while another is down."""

    def __init__(self, folder):
        self._bus_ports = [free_port() for _ in range(3)]
        self.shards = [
            RedisServer(
                *(
                    "--cluster-enabled",
                    "yes",
                    "--cluster-config-file",
                    str(folder / f"{port}.conf"),
                ),
                *("--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"),
                *("--cluster-port", str(port)),
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
