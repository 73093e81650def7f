"""Stores for a test: a directory, or a real redis-server on a free port that keeps nothing."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time

START_SECONDS = 30


STORES = ["embedded", "redis"]


@contextlib.contextmanager
def store_of(kind, directory):
    """An empty store of a kind, as `--store` takes it."""
    if kind == "embedded":
        yield directory / "store"
    else:
        with RedisServer(directory / "redis") as server:
            yield server.url


class RedisServer:
    """A running redis-server. Use it in a `with` block.

    `arguments` are those of the program beside its port; they may ask for a password.
    """

    def __init__(self, directory, arguments=("--save", "", "--maxmemory-policy", "noeviction")):
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing; `make test` installs it, or see "
                               "https://redis.io/docs/latest/operate/oss_and_stack/install")
        directory.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            port = free_port()
            self.process = subprocess.Popen(
                [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory),
                 *map(str, arguments)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.port = port
            self.url = f"redis://127.0.0.1:{port}"
            # Whoever took the port meanwhile makes it end, and another one is tried.
            if self._answers(port, deadline):
                return
        raise RuntimeError("redis-server does not start")

    def _answers(self, port, deadline):
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith((b"+PONG", b"-NOAUTH")):
                        return True
            except OSError:
                time.sleep(0.02)
        return False

    def pause(self):
        """From now on it answers nobody."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """It answers again, also what it was asked meanwhile."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def free_port():
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
