"""How large an answer may be. Imported for one that may be too large."""

from __future__ import annotations

import os
from json import dumps

from portable_fn.adapter.pipeline import answer_too_large
from portable_fn.errors import EncodeError
from portable_fn.http import Request
from portable_fn_aws import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from portable_fn.http import Response
    from portable_fn_aws.decode import AWSContext
    from portable_fn_aws.native import ProxyAnswer

# What Lambda itself takes of a buffered answer, as JSON: seen with aws-lambda-rie, whose runtime ends for one more byte.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA = 6_291_556
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
ALB = 1024 * 1024
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
STREAMED = 200 * 1024 * 1024
# A character of a body may take twelve bytes as JSON: an emoji as \ud83d\ude00.
_WIDEST = 12
# awslambdaric 4.2.2 writes ASCII alone on earlier Pythons, lambda_runtime_marshaller.py.
_UTF_8 = tuple(f"AWS_Lambda_python3.{minor}" for minor in range(12, 16))


def limit(payload: Any) -> tuple[int, str]:
    """The most bytes that the answer to a payload may have, and who says so."""
    return (ALB, "a load balancer") if decode.http_service(payload) == "alb" else (LAMBDA, "Lambda")


def fitting(
    answer: ProxyAnswer, write: Callable[[Response], ProxyAnswer], response: Response, context: AWSContext
) -> ProxyAnswer:
    """The answer, or a problem document if it has more bytes than its service takes."""
    request = context.event or Request()
    most, taker = limit(request.native)
    if not response.cookies and len(answer["body"]) * (1 if answer["isBase64Encoded"] else _WIDEST) + 100_000 < most:
        return answer
    size = as_json(answer)
    return answer if size <= most else write(answer_too_large(size, most, taker, request, context, response))


def fitting_bytes(
    written: bytes, write: Callable[[Response], ProxyAnswer], response: Response, context: AWSContext
) -> bytes:
    """The answer that was written as JSON, or that of a problem document if it has more bytes than its service takes."""
    request = context.event or Request()
    most, taker = limit(request.native)
    if len(written) <= most:
        return written
    return dumps(write(answer_too_large(len(written), most, taker, request, context, response))).encode()


def fitting_stream(response: Response, context: AWSContext) -> Response:
    """The response that goes out in the streaming format, or a problem document if it has more bytes than Lambda takes."""
    size = len(response.body)  # type: ignore[arg-type]  # bytes
    if size <= STREAMED:
        return response
    return answer_too_large(size, STREAMED, "Lambda", context.event or Request(), context, response)


def as_json(value: object) -> int:
    """The bytes of a value as awslambdaric writes it."""
    if os.environ.get("AWS_EXECUTION_ENV", "").startswith(_UTF_8):
        return len(dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return len(dumps(value))


def check(value: object, text: str) -> None:
    """EncodeError for the result of a task, with its JSON text, that is larger than Lambda takes."""
    if len(text) * _WIDEST > LAMBDA:
        _check(as_json(value))


def check_bytes(written: bytes) -> None:
    """EncodeError for a result, written as JSON, that is larger than Lambda takes."""
    _check(len(written))


def _check(size: int) -> None:
    if size > LAMBDA:
        raise EncodeError(f"the function's result has {size} bytes as JSON; Lambda takes {LAMBDA}")
