"""What a call ends with: an answer, in time and within the quota, or an error with its details."""

import time

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

SECONDS = 10  # for an answer, with all retries


def answered(method, request, metadata):
    """Calls, and calls again after the delay that an exhausted quota names. What is `UNAVAILABLE`
    has been retried by then, as the service config says."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return method(request, metadata=metadata, timeout=end - time.monotonic())
        except grpc.RpcError as error:
            infos = details(status_of(error), error_details_pb2.RetryInfo)
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or not infos:
                raise
            seconds = infos[0].retry_delay.ToTimedelta().total_seconds()
            if time.monotonic() + seconds > end:
                raise
            time.sleep(seconds)


def status_of(error):
    """An error with its details. What the client itself says has none."""
    return rpc_status.from_call(error) or status_pb2.Status(
        code=error.code().value[0], message=error.details())


def details(status, kind):
    return [kind.FromString(any_.value) for any_ in status.details if any_.Is(kind.DESCRIPTOR)]


def explain(status):
    said = [f"{code_pb2.Code.Name(status.code)}: {status.message}"]
    for bad in details(status, error_details_pb2.BadRequest):
        said += [f"  {wrong.field}: {wrong.description}" for wrong in bad.field_violations]
    for info in details(status, error_details_pb2.RetryInfo):
        said.append(f"  retry after {info.retry_delay.ToMilliseconds()} ms")
    return "\n".join(said)
