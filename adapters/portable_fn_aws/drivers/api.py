"""Sign and send calls of AWS's APIs, without an SDK."""

from __future__ import annotations

import os
import time
from _contextvars import ContextVar

from portable_fn.errors import PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    # Sends headers and a body to an endpoint within so many seconds; returns the status and the body of the answer.
    Transport = Callable[[str, Mapping[str, str], bytes, float], tuple[int, bytes]]

# The time limit of a call in seconds: it runs within the invocation.
TIMEOUT = 5.0

# What answers calls in place of the network. `simulate` sets it; calls are then signed with a fixed key.
transport: ContextVar[Transport | None] = ContextVar("transport", default=None)


class SQSError(PortableError):
    """SQS refused a call, or can't be reached."""


def endpoint_setting() -> str:
    """Return the endpoint of SQS that the environment sets; "" if it sets none.

    Raises:
        SQSError: The setting isn't a URL.
    """
    for name in ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"):
        if endpoint := os.environ.get(name):
            host_of(endpoint, name)
            return endpoint.rstrip("/")
    return ""


def host_of(url: str, what: str) -> str:
    """Return the host of a URL, with its port.

    Raises:
        SQSError: The URL has no host. The message names `what` and hides the URL, which may hold a password.
    """
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    if scheme not in ("http", "https") or not host:
        raise SQSError(f"{what} isn't a URL: it needs http:// or https:// and a host")
    return host


def call(action: str, request: Mapping[str, Any], url: str, region: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Call an action of SQS and return its answer.

    Args:
        action: Its name, such as "SendMessage".
        request: Its parameters.
        url: The queue's URL, whose host gets the call unless the environment sets an endpoint.
        region: The region to sign for.
        timeout: The time limit in seconds.

    Raises:
        SQSError: SQS refused the call, or didn't answer in time.
    """
    import json
    from time import gmtime, strftime

    end = time.monotonic() + timeout
    endpoint = endpoint_setting() or "/".join(url.split("/")[:3])
    body = json.dumps(request).encode()
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": host_of(endpoint, "the queue's URL"),
        "x-amz-date": strftime("%Y%m%dT%H%M%SZ", gmtime()),
        "x-amz-target": f"AmazonSQS.{action}",
    }
    simulated = transport.get()
    key_id, secret, token = credentials(timeout) if simulated is None else ("key", "secret", "")
    if token:
        headers["x-amz-security-token"] = token
    headers["authorization"] = authorization("POST", "/", headers, body, key_id, secret, region, "sqs")
    status, text = (simulated or post)(endpoint, headers, body, end - time.monotonic())
    try:
        answer = json.loads(text or b"{}")
    except ValueError:
        answer = {}
    if status != 200:
        code = str(answer.get("__type", "")).rpartition("#")[2] if isinstance(answer, dict) else ""
        raise SQSError(f"{action} was refused with {status} {code}".rstrip())
    return answer if isinstance(answer, dict) else {}


def post(endpoint: str, headers: Mapping[str, str], body: bytes, timeout: float) -> tuple[int, bytes]:
    """Return the status and the body of the endpoint's answer.

    Raises:
        SQSError: The endpoint can't be reached, or didn't answer in time.
    """
    from http.client import HTTPException, InvalidURL

    from portable_fn.adapter.http_client import call as request

    host = host_of(endpoint, "the queue's URL")
    scheme = endpoint.partition(":")[0]
    try:
        return request("POST", f"{scheme}://{host}/", headers, body, timeout)
    except (OSError, HTTPException, ValueError) as exc:
        if isinstance(exc, InvalidURL):
            raise SQSError(f"the port of {host} isn't a number") from exc
        if timeout <= 0:
            raise SQSError(str(exc)) from exc
        raise SQSError(f"{host} can't be reached: {type(exc).__name__}") from exc


def credentials(timeout: float = TIMEOUT) -> tuple[str, str, str]:
    """Return the function's key, secret and session token.

    Lambda sets them in the environment, or serves them if SnapStart is on.

    Raises:
        SQSError: There are no credentials, or they can't be fetched.
    """
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return key_id, secret, os.environ.get("AWS_SESSION_TOKEN", "")
    address = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not address.startswith("http://"):
        raise SQSError("there are no credentials in the environment: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    import json
    from http.client import HTTPConnection, HTTPException

    host, _, path = address.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=timeout)
    try:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        connection.request("GET", f"/{path}", headers={"Authorization": token})
        answer = json.loads(connection.getresponse().read(65536))
        return answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("Token", "")
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as exc:
        raise SQSError(f"the credentials can't be fetched: {type(exc).__name__}") from exc
    finally:
        connection.close()


def authorization(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    key_id: str,
    secret: str,
    region: str,
    service: str,
) -> str:
    """Return the authorization header of Signature Version 4 for a request without a query; it signs all headers.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

    Args:
        headers: By lower-case name, with `x-amz-date`.
    """
    import hmac
    from hashlib import sha256

    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = f"{method}\n{path}\n\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
    time = headers["x-amz-date"]
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
