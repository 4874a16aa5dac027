"""Sign and send calls of AWS's APIs."""

from __future__ import annotations

import os
import time

from portable_fn.errors import PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# Seconds that a call may take: it is within the invocation.
TIMEOUT = 5.0


class SQSError(PortableError):
    """SQS refused a call, or couldn't be reached."""


def _endpoint() -> str:
    for name in ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"):
        if endpoint := os.environ.get(name):
            _host(endpoint, name)
            return endpoint.rstrip("/")
    return ""


def _host(url: str, what: str) -> str:
    """The host of a URL, with its port; SQSError, which doesn't show the URL, if it has none."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    if scheme not in ("http", "https") or not host:
        raise SQSError(f"{what} is no URL: it begins with http:// or https:// and a host")
    return host


def call(action: str, request: Mapping[str, Any], url: str, region: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """The answer to an action; SQSError if SQS refuses it, or hasn't answered after `timeout` seconds."""
    import json
    from time import gmtime, strftime

    end = time.monotonic() + timeout
    endpoint = _endpoint() or "/".join(url.split("/")[:3])
    body = json.dumps(request).encode()
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": _host(endpoint, "the queue's URL"),
        "x-amz-date": strftime("%Y%m%dT%H%M%SZ", gmtime()),
        "x-amz-target": f"AmazonSQS.{action}",
    }
    key_id, secret, token = credentials(timeout)
    if token:
        headers["x-amz-security-token"] = token
    headers["authorization"] = authorization("POST", "/", headers, body, key_id, secret, region, "sqs")
    status, text = post(endpoint, headers, body, end - time.monotonic())
    try:
        answer = json.loads(text or b"{}")
    except ValueError:
        answer = {}
    if status != 200:
        code = str(answer.get("__type", "")).rpartition("#")[2] if isinstance(answer, dict) else ""
        raise SQSError(f"{action} was refused with {status} {code}".rstrip())
    return answer if isinstance(answer, dict) else {}


def post(endpoint: str, headers: Mapping[str, str], body: bytes, timeout: float) -> tuple[int, bytes]:
    """The status and the body that the endpoint answers; SQSError where it doesn't."""
    from http.client import HTTPException, InvalidURL

    from portable_fn.adapter.http_client import call as request

    host = _host(endpoint, "the queue's URL")
    scheme = endpoint.partition(":")[0]
    try:
        return request("POST", f"{scheme}://{host}/", headers, body, timeout)
    except (OSError, HTTPException, ValueError) as exc:
        if isinstance(exc, InvalidURL):
            raise SQSError(f"the port of {host} is no number") from exc
        if timeout <= 0:
            raise SQSError(str(exc)) from exc
        raise SQSError(f"{host} can't be reached: {type(exc).__name__}") from exc


def credentials(timeout: float = TIMEOUT) -> tuple[str, str, str]:
    """The function's own key, secret and session token, which Lambda sets, or serves where SnapStart is on."""
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return key_id, secret, os.environ.get("AWS_SESSION_TOKEN", "")
    address = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not address.startswith("http://"):
        raise SQSError("there are no credentials in the environment")
    import json
    from http.client import HTTPConnection, HTTPException

    host, _, path = address.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=timeout)
    try:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        connection.request("GET", f"/{path}", headers={"Authorization": token})
        served = json.loads(connection.getresponse().read(65536))
        return served["AccessKeyId"], served["SecretAccessKey"], served.get("Token", "")
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as exc:
        raise SQSError(f"the credentials can't be had: {type(exc).__name__}") from exc
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
    """The authorization header of Signature Version 4 for a request without a query, all of whose headers are signed.

    The headers' names are lower-case; `x-amz-date` is among them.
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
