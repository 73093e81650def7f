"""What stands between a caller and a server in a test, and fails in a known way."""

import socket
import threading
import time
from collections import defaultdict, deque
from concurrent import futures

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

SECONDS = 60
# No more of a stream than this is taken ahead.
ROOM = [("grpc.http2.lookahead_bytes", 65_536), ("grpc.http2.bdp_probe", 0)]


def refuse(code, retry_seconds=None):
    """A fault: the call is refused, with `RetryInfo` if its delay is given."""
    refusal = status_pb2.Status(code=code.value[0], message="as the test wants it")
    if retry_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(retry_seconds * 1000))
        refusal.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))

    def fault(_call, context, _another):
        context.abort_with_status(rpc_status.to_status(refusal))

    return fault


def lose_the_answer(call, context, _another):
    """A fault: the server does what it is asked, and the caller does not hear of it."""
    call()
    context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")


def wait_for_another(call, context, another):
    """A fault: the call is not answered before another attempt comes, or its caller gives up."""
    context.add_callback(another.set)
    another.wait(SECONDS)
    return call()


class Front(grpc.GenericRpcHandler):
    """A gRPC server that hands every call on to another one, message by message as they are.

    `faults` has what it does instead, one for each attempt of a method in turn. With no server
    behind, an answer is an empty message.
    """

    def __init__(self, credentials=None, behind=None):
        self.behind = behind
        self.faults = defaultdict(deque)
        self.attempts = defaultdict(list)  # when each came
        self.streamed = []  # the requests of streams
        self.pause = 0  # after the first request of a stream
        self._another = defaultdict(threading.Event)
        self._lock = threading.Lock()
        self.server = grpc.server(futures.ThreadPoolExecutor(32), handlers=[self], options=ROOM)
        port = (self.server.add_insecure_port("127.0.0.1:0") if credentials is None
                else self.server.add_secure_port("127.0.0.1:0", credentials))
        self.address = f"127.0.0.1:{port}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait(SECONDS)

    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        shown = [pair for pair in details.invocation_metadata if pair[0] == "authorization"]

        def answer(request, context):
            def call():
                if self.behind is None:
                    return b""
                method = self.behind.unary_unary(details.method)
                return method(request, metadata=shown, timeout=SECONDS)
            return self._attempt(name, call, context)

        def stream(requests, context):
            def call():
                if self.behind is None:
                    return iter([b""])
                method = self.behind.stream_stream(details.method)
                return method(self._read(requests), metadata=shown, timeout=SECONDS)
            yield from self._attempt(name, call, context)

        is_stream = name == "ScoreEvents"
        return (grpc.stream_stream_rpc_method_handler(stream) if is_stream
                else grpc.unary_unary_rpc_method_handler(answer))

    def _attempt(self, name, call, context):
        with self._lock:
            if self.attempts[name]:
                self._another[name].set()
            self.attempts[name].append(time.monotonic())
            fault = self.faults[name].popleft() if self.faults[name] else None
        try:
            return call() if fault is None else fault(call, context, self._another[name])
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata())
            context.abort(error.code(), error.details())

    def _read(self, requests):
        for request in requests:
            self.streamed.append(request)
            yield request
            if len(self.streamed) == 1:
                time.sleep(self.pause)  # what a caller does meanwhile is what a test asks


class Gate:
    """A port in front of a server. As many callers as `refusals` are cut off, as if the server
    were away; the others reach it."""

    def __init__(self, address, refusals):
        host, port = address.rsplit(":", 1)
        self.server = host, int(port)
        self.refusals, self.refused = refusals, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:  # the test is over
                return
            if self.refused < self.refusals:
                self.refused += 1
                caller.close()
                continue
            server = socket.create_connection(self.server)
            for source, sink in ((caller, server), (server, caller)):
                threading.Thread(target=carry, args=(source, sink), daemon=True).start()


def carry(source, sink):
    """Passes bytes on until one side ends."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # the other side is gone
        sink.close()
