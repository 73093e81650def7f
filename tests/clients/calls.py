"""Short ways to make events and to read errors."""

import time

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

# The data of these tests is from this instant on: 2020-09-13T12:26:40Z.
START = 1_600_000_000


def event(event_id="event-1", profile_id="ann", event_type="question", second=0, **fields):
    """An event `second` seconds after the start; `fields` in the proto's own names."""
    made = api.Event(event_id=event_id, profile_id=profile_id, type=event_type)
    made.time.seconds = START + second
    attributes = fields.pop("attributes", None)
    if attributes is not None:
        made.attributes.update(attributes)
    made.MergeFrom(api.Event(**fields))
    return made


def score(stub, tenant, made):
    return stub.ScoreEvent(api.ScoreEventRequest(tenant=tenant, event=made))


def get(stub, tenant, profile_id, **fields):
    return stub.GetProfile(
        api.GetProfileRequest(tenant=tenant, profile_id=profile_id, **fields)).profile


def get_subject(stub, tenant, subject_id, kind="account", **fields):
    return stub.GetSubject(api.GetSubjectRequest(
        tenant=tenant, kind=kind, subject_id=subject_id, **fields)).subject


def subjects(*ids, kind="account"):
    return [api.SubjectReference(kind=kind, subject_id=subject_id) for subject_id in ids]


def now():
    return int(time.time())


class Refusal:
    """An error as a caller decodes it."""

    def __init__(self, error):
        self.code = error.code()
        self.message = error.details()
        self.bad_fields, self.metadata = {}, {}
        self.reason, self.domain, self.retry_info = None, None, None
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad_request = error_details_pb2.BadRequest()
                detail.Unpack(bad_request)
                self.bad_fields.update(
                    (violation.field, violation.description)
                    for violation in bad_request.field_violations)
            elif detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo()
                detail.Unpack(info)
                self.reason, self.domain = info.reason, info.domain
                self.metadata = dict(info.metadata)
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                self.retry_info = error_details_pb2.RetryInfo()
                detail.Unpack(self.retry_info)
        # What libraries of gRPC go by when they retry.
        pushback = dict(error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
        delay = self.retry_info and self.retry_info.retry_delay.ToMicroseconds()
        assert pushback == (None if delay is None else str(-(-delay // 1_000)))


def refused(call, *arguments, **keywords):
    """Makes a call that must fail, and returns its error."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return Refusal(caught.value)


def invalid(call, *arguments, field=None):
    """Makes a call that must fail for a malformed field, and returns its error."""
    refusal = refused(call, *arguments)
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT, (refusal.code, refusal.message)
    assert refusal.message
    assert refusal.bad_fields, f"no BadRequest detail: {refusal.message}"
    assert all(refusal.bad_fields.values()), "a field without a description"
    if field is not None:
        assert field in refusal.bad_fields, (field, refusal.bad_fields)
    return refusal


def as_json(message):
    """A message in its JSON form, for comparing."""
    return json_format.MessageToDict(message)
