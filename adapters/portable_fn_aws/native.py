"""What AWS Lambda hands over: only what we read. Imported by type checkers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Protocol, TypedDict

Payload = Mapping[str, Any]
# One of the records of a payload.
Record = Mapping[str, Any]


class LambdaContext(Protocol):
    """The context of awslambdaric 4.2.2 and of our own runtime, which tests and emulators may have in part only."""

    aws_request_id: str
    function_name: str
    function_version: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int | None: ...


class ProxyAnswer(TypedDict):
    """What API Gateway, function URLs, load balancers and VPC Lattice take as an HTTP response."""

    statusCode: int
    headers: NotRequired[Mapping[str, str]]
    multiValueHeaders: NotRequired[Mapping[str, Sequence[str]]]
    cookies: NotRequired[Sequence[str]]
    body: str
    isBase64Encoded: bool
