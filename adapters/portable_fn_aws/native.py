"""Type AWS Lambda's payloads, as far as portable_fn reads them. Only type checkers import this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Protocol, TypedDict

Payload = Mapping[str, Any]
# One record of a payload.
Record = Mapping[str, Any]


class LambdaContext(Protocol):
    """The context of awslambdaric 4.2.2 and of our own runtime; tests and emulators may lack parts of it."""

    aws_request_id: str
    function_name: str
    function_version: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int | None: ...


class ProxyAnswer(TypedDict):
    """The HTTP response that API Gateway, function URLs, load balancers and VPC Lattice take."""

    statusCode: int
    headers: NotRequired[Mapping[str, str]]
    multiValueHeaders: NotRequired[Mapping[str, Sequence[str]]]
    cookies: NotRequired[Sequence[str]]
    body: str
    isBase64Encoded: bool
