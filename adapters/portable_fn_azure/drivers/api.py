"""Sign and send calls of Azure Storage and Service Bus."""

from __future__ import annotations

import os
import time
from binascii import a2b_base64, b2a_base64
from contextvars import ContextVar

from portable_fn.errors import PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Simulation(Protocol):
        """What answers calls, and what names the settings, in place of Azure."""

        def call(
            self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
        ) -> tuple[int, bytes]: ...
        def setting(self, name: str) -> str | None: ...


# Seconds that a call may take. The invocation waits for it.
TIMEOUT = 10.0

# https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services
_VERSION = "2021-12-02"

# Every emulator has this account: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
_EMULATOR = {
    "accountname": "devstoreaccount1",
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
}

# Set by `portable_fn_azure.simulate`.
simulation: ContextVar[Simulation | None] = ContextVar("simulation", default=None)


class QueueError(PortableError):
    """A queue can't be reached or refused a message, or its setting is missing or malformed."""


def call_storage(
    method: str, connection: str, path: str, query: Mapping[str, str], body: bytes, end: float
) -> tuple[int, bytes]:
    """Call the queue service of a storage account; return the status and the body of the answer."""
    from urllib.parse import quote, urlencode

    account = _account(connection)
    endpoint = account["queueendpoint"].rstrip("/")
    url = f"{endpoint}/{quote(path)}"
    headers = {"x-ms-date": _now(), "x-ms-version": _VERSION}
    if body:
        headers["content-type"] = "application/xml"
    parameters = urlencode(query)
    if "sharedaccesssignature" in account:
        shared_access = account["sharedaccesssignature"].lstrip("?")
        parameters = f"{parameters}&{shared_access}" if parameters else shared_access
    elif "accountkey" in account:
        key = account["accountkey"]
        name = account["accountname"]
        path = "/" + url.split("/", 3)[3]
        signed = signature(method, name, key, path, query, headers, len(body))
        headers["authorization"] = f"SharedKey {name}:{signed}"
    else:
        headers["authorization"] = f"Bearer {_token('https://storage.azure.com/', connection, end)}"
    return send(method, f"{url}?{parameters}" if parameters else url, headers, body, end)


def signature(
    method: str, account: str, key: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], length: int
) -> str:
    """Sign a call with the account's key.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    parameters = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    lines = (method, "", "", str(length or ""), "", headers.get("content-type", ""), "", "", "", "", "", "")
    text = "\n".join(lines) + f"\n{own}/{account}{path}{parameters}"
    return _hmac(_from_base64(key, "AccountKey"), text)


def _account(connection: str) -> dict[str, str]:
    """Return a storage account's queue endpoint and credentials, by lower-case names."""
    # The host also looks a setting up with this prefix.
    for name in (connection, f"AzureWebJobs{connection}"):
        if text := setting(name):
            account = _parts(text, connection)
            if account.get("usedevelopmentstorage", "").lower() == "true":
                proxy = account.get("developmentstorageproxyuri", "http://127.0.0.1").rstrip("/")
                return {**_EMULATOR, "queueendpoint": f"{proxy}:10001/{_EMULATOR['accountname']}"}
            if "queueendpoint" not in account and "accountname" in account:
                suffix = account.get("endpointsuffix", "core.windows.net")
                scheme = account.get("defaultendpointsprotocol", "https")
                account["queueendpoint"] = f"{scheme}://{account['accountname']}.queue.{suffix}"
            if "queueendpoint" not in account:
                raise QueueError(f"the setting {connection} needs AccountName or QueueEndpoint")
            return account
        # https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
        for part in ("queueServiceUri", "serviceUri"):
            if uri := setting(f"{name}__{part}"):
                return {"queueendpoint": uri}
        if account_name := setting(f"{name}__accountName"):
            return {"queueendpoint": f"https://{account_name}.queue.core.windows.net"}
    raise _not_set(connection)


def error_code(answer: bytes) -> str:
    """Return the code of Azure's error; never its message, which may quote the request."""
    _, found, rest = answer.partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode("ascii", "replace")[:80] if found else ""


def namespace(connection: str, end: float) -> tuple[str, str]:
    """Return a Service Bus namespace's endpoint, and the value of the header `authorization`."""
    if text := setting(connection):
        parts = _parts(text, connection)
        host = parts.get("endpoint", "").partition("://")[2].rstrip("/")
        if not host:
            raise QueueError(f"the setting {connection} has no Endpoint")
        # The emulator has no certificate: https://learn.microsoft.com/azure/service-bus-messaging/overview-emulator
        is_emulator = parts.get("usedevelopmentemulator", "").lower() == "true"
        endpoint = f"{'http' if is_emulator else 'https'}://{host}"
        if shared_access := parts.get("sharedaccesssignature"):
            return endpoint, shared_access
        if "sharedaccesskeyname" not in parts or "sharedaccesskey" not in parts:
            raise QueueError(
                f"the setting {connection} needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature"
            )
        until = int(time.time()) + 600
        return endpoint, sas(endpoint, parts["sharedaccesskeyname"], parts["sharedaccesskey"], until)
    if name := setting(f"{connection}__fullyQualifiedNamespace"):
        return f"https://{name}", f"Bearer {_token('https://servicebus.azure.net/', connection, end)}"
    raise _not_set(connection)


def sas(uri: str, name: str, key: str, until: int) -> str:
    """Return a shared access signature.

    https://learn.microsoft.com/rest/api/eventhub/generate-sas-token
    """
    from urllib.parse import quote_plus

    quoted = quote_plus(uri)
    signed = quote_plus(_hmac(key.encode(), f"{quoted}\n{until}"))
    return f"SharedAccessSignature sr={quoted}&sig={signed}&se={until}&skn={quote_plus(name)}"


def _parts(text: str, connection: str) -> dict[str, str]:
    """Return the parts of a connection string by lower-case name. An error never shows the string: it holds a key."""
    parts = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise QueueError(f"the setting {connection} must be a connection string, such as Name=value;Name=value")
        parts[name.strip().lower()] = value.strip()
    return parts


def setting(name: str) -> str | None:
    """Return a setting of the function app."""
    simulated = simulation.get()
    return os.environ.get(name) if simulated is None else simulated.setting(name)


def _not_set(connection: str) -> QueueError:
    return QueueError(
        f"the setting {connection} is missing: set it to a connection string; for a managed identity, set "
        f"{connection}__accountName or {connection}__fullyQualifiedNamespace"
    )


# The tokens and the times when they expire, by resource and client id.
_tokens: dict[tuple[str, str], tuple[str, float]] = {}


def _token(resource: str, connection: str, end: float) -> str:
    """Return a token of the function app's managed identity; keep it until five minutes before it expires.

    https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
    """
    from json import loads
    from urllib.parse import urlencode

    client = setting(f"{connection}__clientId") or ""
    token, until = _tokens.get((resource, client), ("", 0.0))
    if time.time() < until - 300:
        return token
    endpoint, secret = os.environ.get("IDENTITY_ENDPOINT"), os.environ.get("IDENTITY_HEADER")
    if not endpoint or not secret:
        raise QueueError(f"{connection} needs a managed identity, but the app has none: IDENTITY_ENDPOINT isn't set")
    query = {"api-version": "2019-08-01", "resource": resource, **({"client_id": client} if client else {})}
    status, answer = send("GET", f"{endpoint}?{urlencode(query)}", {"x-identity-header": secret}, None, end)
    try:
        fields = loads(answer)
        token, until = str(fields["access_token"]), float(fields["expires_on"])
    except (ValueError, LookupError, TypeError) as exc:
        raise QueueError(f"the app's identity gets no token for {resource}: {status}") from exc
    _tokens[resource, client] = token, until
    return token


def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, end: float) -> tuple[int, bytes]:
    """Send a request and return the status and the body of the answer.

    Raises:
        QueueError: The server can't be reached, or doesn't answer by `end`, a time of time.monotonic.
    """
    from http.client import HTTPException

    simulated = simulation.get()
    try:
        return (call if simulated is None else simulated.call)(method, url, headers, body, end - time.monotonic())
    except OSError as exc:
        # The URL may hold a signature, and HTTPException's message may quote it.
        raise QueueError(f"{url.split('/')[2]} can't be reached: {type(exc).__name__}") from exc
    except HTTPException as exc:
        raise QueueError(f"{url.split('/')[2]} can't be reached: {type(exc).__name__}") from None


def call(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> tuple[int, bytes]:
    """Send one HTTP request to Azure."""
    from portable_fn.adapter import http_client

    return http_client.call(method, url, headers, body, seconds)


def _now() -> str:
    # strftime writes the names of days and months in the locale's language.
    now = time.gmtime()
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[now.tm_wday]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {now.tm_mday:02} {months[now.tm_mon - 1]} {now.tm_year} {time.strftime('%H:%M:%S', now)} GMT"


def _hmac(key: bytes, text: str) -> str:
    import hmac

    return b2a_base64(hmac.digest(key, text.encode(), "sha256"), newline=False).decode()


def _from_base64(text: str, name: str) -> bytes:
    try:
        return a2b_base64(text)
    except ValueError as exc:
        raise QueueError(f"the {name} of a connection string must be base64") from exc
