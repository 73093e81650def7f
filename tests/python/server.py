"""A real server for a test: started on a free port, awaited by its health check."""

import os
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
from bellwether.v1 import scoring_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

REPOSITORY = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 30
STOP_SECONDS = 60
# For tests of what is answered, not of how fast: on a busy machine everybody may pause for seconds.
PATIENT = {"BELLWETHER_REDIS_TIMEOUT": "60s", "BELLWETHER_DEFAULT_DEADLINE": "60s"}
# In both formats of logs.
LISTENING = re.compile(r"listening.*address\W+(127\.0\.0\.1:\d+)")
ADMIN = re.compile(r"\badmin\W+((?:127\.0\.0\.1|0\.0\.0\.0):\d+)")
SERVICE = "bellwether.v1.ScoringService"
# Pages of 1,000 full profiles are larger than gRPC's default of 4 MiB.
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]


def binary():
    """The binary under test."""
    path = os.environ.get("BELLWETHER_BINARY")
    if not path:
        raise RuntimeError("set BELLWETHER_BINARY to the path of the bellwether binary; "
                           "`make test-clients` and `make test-data` do")
    return str(Path(path).resolve())


def environment():
    """The environment of a server: ours without settings that would leak into the test."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("BELLWETHER_", "OTEL_"))}


class Server:
    """A running `bellwether serve`. Use it in a `with` block.

    `settings` are variables of its environment, for what no argument sets; `credentials` are what
    it is called with when it speaks TLS.
    """

    def __init__(self, store, model=None, wait=True, arguments=(), settings=None,
                 credentials=None):
        self.credentials = credentials
        command = [binary(), "serve", "--store", str(store)]
        if "--listen" not in arguments:
            command += ["--listen", "127.0.0.1:0"]
        if "--admin-listen" not in arguments:
            command += ["--admin-listen", "127.0.0.1:0"]
        if model is not None:
            command += ["--model", str(model)]
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace",
            env=environment() | PATIENT | (settings or {}))
        self.lines = []
        self._addresses = queue.Queue()
        self._admin = None
        self._has_admin = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.channel = None
        if wait:
            try:
                self._connect()
            except BaseException:
                self.kill()
                raise

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if found := ADMIN.search(line):
                self._admin = found.group(1)
                self._has_admin.set()
            if found := LISTENING.search(line):
                self._addresses.put(found.group(1))
        self._addresses.put(None)  # the output ended
        self._has_admin.set()

    def _connect(self):
        self.address = self._addresses.get(timeout=START_SECONDS)
        if self.address is None:
            raise RuntimeError(f"the server stopped before it listened:\n{self.output()}")
        self.channel = (
            grpc.insecure_channel(self.address, CHANNEL_OPTIONS) if self.credentials is None
            else grpc.secure_channel(self.address, self.credentials, CHANNEL_OPTIONS))
        self.stub = scoring_pb2_grpc.ScoringServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        watch = self.health.Watch(health_pb2.HealthCheckRequest(service=SERVICE),
                                  wait_for_ready=True, timeout=START_SECONDS)
        for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
        watch.cancel()

    @property
    def admin_address(self):
        """Where probes and metrics are answered, awaited."""
        self._has_admin.wait(START_SECONDS)
        if self._admin is None:
            raise RuntimeError(f"the server has no admin address:\n{self.output()}")
        return self._admin

    def probe(self, path, seconds=START_SECONDS):
        """Status and text that a path of the admin address is answered with."""
        try:
            with urllib.request.urlopen(f"http://{self.admin_address}{path}", timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def output(self):
        """What the server has written so far."""
        return "".join(self.lines)

    def terminate(self):
        """Asks the server to stop, without waiting for it."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds=STOP_SECONDS):
        """Waits for the end, and returns the exit code and everything written."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code, self.output()

    def stop(self):
        """Stops the server in order; fails when it does not end well."""
        if self.process.poll() is None:
            self.terminate()
        code, output = self.wait()
        self._close()
        if code != 0:
            raise AssertionError(f"the server ended with {code}:\n{output}")

    def kill(self):
        """Ends the server as a crash would."""
        self.process.kill()
        self.wait()
        self._close()

    def _close(self):
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if self.process.poll() is None and failure is None:
            self.stop()
        else:
            self.kill()


def refusal_to_start(store, model=None, arguments=(), settings=None):
    """Starts a server that must not start, and returns what it says."""
    server = Server(store, model, wait=False, arguments=arguments, settings=settings)
    try:
        code, output = server.wait()
    finally:
        server.process.kill()
    assert code not in (0, None), output
    assert code > 0, f"ended by signal {-code}:\n{output}"
    assert "panicked" not in output
    assert "listening" not in output
    assert output.strip(), "without a word"
    return output


def run(*arguments, seconds=600):
    """Runs the binary to its end."""
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True,
                          encoding="utf-8", timeout=seconds, env=environment(), check=False)


def eventually(condition, seconds=30):
    """Polls until a condition of the outside world holds; for what offers nothing to wait on."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
