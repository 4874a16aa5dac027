"""Check the size of answers. The adapter imports this module only if an answer may be too large."""

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

# Lambda's limit of a buffered answer, as JSON: measured with aws-lambda-rie, whose runtime ends if there is one more byte.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA = 6_291_556
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
ALB = 1024 * 1024
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
STREAMED = 200 * 1024 * 1024
# A character of a body takes up to twelve bytes as JSON: an emoji is \ud83d\ude00.
_WIDEST = 12
# On earlier Pythons awslambdaric 4.2.2 writes only ASCII: lambda_runtime_marshaller.py.
_UTF_8 = tuple(f"AWS_Lambda_python3.{minor}" for minor in range(12, 16))


def limit_of(payload: Any) -> tuple[int, str]:
    """Return how many bytes the answer to a payload may have, and who sets this limit."""
    return (ALB, "a load balancer") if decode.http_service(payload) == "alb" else (LAMBDA, "Lambda")


def fit_answer(
    answer: ProxyAnswer, encode: Callable[[Response], ProxyAnswer], response: Response, context: AWSContext
) -> ProxyAnswer:
    """Return the answer, or a problem document if the answer is too large for its service."""
    request = context.event or Request()
    max_bytes, taker = limit_of(request.native)
    if (
        not response.cookies
        and len(answer["body"]) * (1 if answer["isBase64Encoded"] else _WIDEST) + 100_000 < max_bytes
    ):
        return answer
    size = json_size(answer)
    if size <= max_bytes:
        return answer
    return encode(answer_too_large(size, max_bytes, taker, request, context, response))


def fit_written(
    written: bytes, encode: Callable[[Response], ProxyAnswer], response: Response, context: AWSContext
) -> bytes:
    """Return the answer written as JSON, or a written problem document if the answer is too large for its service."""
    request = context.event or Request()
    max_bytes, taker = limit_of(request.native)
    if len(written) <= max_bytes:
        return written
    return dumps(encode(answer_too_large(len(written), max_bytes, taker, request, context, response))).encode()


def fit_stream(response: Response, context: AWSContext) -> Response:
    """Return the response to stream, or a problem document if the response is too large for Lambda."""
    size = len(response.body)  # type: ignore[arg-type]  # bytes
    if size <= STREAMED:
        return response
    return answer_too_large(size, STREAMED, "Lambda", context.event or Request(), context, response)


def json_size(value: object) -> int:
    """Return how many bytes awslambdaric writes for a value."""
    if os.environ.get("AWS_EXECUTION_ENV", "").startswith(_UTF_8):
        return len(dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return len(dumps(value))


def check_result(value: object, text: str) -> None:
    """Raise EncodeError if a task's result is too large for Lambda.

    Args:
        value: The result.
        text: The result as JSON.
    """
    if len(text) * _WIDEST > LAMBDA:
        _check(json_size(value))


def check_written(written: bytes) -> None:
    """Raise EncodeError if a result, written as JSON, is too large for Lambda."""
    _check(len(written))


def _check(size: int) -> None:
    if size > LAMBDA:
        raise EncodeError(
            f"the function's result has {size} bytes as JSON; Lambda takes {LAMBDA}: store it and return its address"
        )
