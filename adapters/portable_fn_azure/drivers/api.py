"""Sign and send calls of Azure Storage and Service Bus."""

from __future__ import annotations

import os
import time
from binascii import a2b_base64, b2a_base64

from portable_fn.errors import PortableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


# Seconds that a call may take: it is within the invocation.
TIMEOUT = 10.0


# https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services
_VERSION = "2021-12-02"


# What the emulator of every machine has: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
_EMULATOR = {
    "accountname": "devstoreaccount1",
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
}


class QueueError(PortableError):
    """A queue refused a message, or couldn't be reached, or a setting doesn't say where it is."""


def storage(
    method: str, connection: str, path: str, query: Mapping[str, str], body: bytes, end: float
) -> tuple[int, bytes]:
    """Call the queue service of a storage account; the status and the body of the answer."""
    from urllib.parse import quote, urlencode

    account = _account(connection)
    endpoint = account["queueendpoint"].rstrip("/")
    url = f"{endpoint}/{quote(path)}"
    headers = {"x-ms-date": _now(), "x-ms-version": _VERSION}
    if body:
        headers["content-type"] = "application/xml"
    asked = urlencode(query)
    if "sharedaccesssignature" in account:
        signature = account["sharedaccesssignature"].lstrip("?")
        asked = f"{asked}&{signature}" if asked else signature
    elif "accountkey" in account:
        key = account["accountkey"]
        name = account["accountname"]
        path = "/" + url.split("/", 3)[3]
        headers["authorization"] = f"SharedKey {name}:{_signature(method, name, key, path, query, headers, len(body))}"
    else:
        headers["authorization"] = f"Bearer {_token('https://storage.azure.com/', connection, end)}"
    return _call(method, f"{url}?{asked}" if asked else url, headers, body, end)


def _signature(
    method: str, account: str, key: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], length: int
) -> str:
    """Sign a request with the account's key.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    asked = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    lines = (method, "", "", str(length or ""), "", headers.get("content-type", ""), "", "", "", "", "", "")
    text = "\n".join(lines) + f"\n{own}/{account}{path}{asked}"
    return _hmac(_of_base64(key, "AccountKey"), text)


def _account(connection: str) -> dict[str, str]:
    """Where the queues of a storage account are, and how one gets in, by lower-case names."""
    # The host finds a setting by its name with this prefix, too.
    for name in (connection, f"AzureWebJobs{connection}"):
        if text := setting(name):
            found = _parts(text, connection)
            if found.get("usedevelopmentstorage", "").lower() == "true":
                proxy = found.get("developmentstorageproxyuri", "http://127.0.0.1").rstrip("/")
                return {**_EMULATOR, "queueendpoint": f"{proxy}:10001/{_EMULATOR['accountname']}"}
            if "queueendpoint" not in found and "accountname" in found:
                suffix = found.get("endpointsuffix", "core.windows.net")
                scheme = found.get("defaultendpointsprotocol", "https")
                found["queueendpoint"] = f"{scheme}://{found['accountname']}.queue.{suffix}"
            if "queueendpoint" not in found:
                raise QueueError(f"the setting {connection} has neither AccountName nor QueueEndpoint")
            return found
        # https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
        for place in ("queueServiceUri", "serviceUri"):
            if uri := setting(f"{name}__{place}"):
                return {"queueendpoint": uri}
        if account := setting(f"{name}__accountName"):
            return {"queueendpoint": f"https://{account}.queue.core.windows.net"}
    raise _not_set(connection)


def _encoding(file: str) -> str:
    """How host.json says that the texts of queues are encoded, "base64" unless told otherwise.

    It is in a folder above `file`, the handler's: the function app's root.
    """
    from json import load

    folder = os.path.dirname(os.path.abspath(file))
    while True:
        try:
            with open(os.path.join(folder, "host.json"), encoding="utf-8-sig") as found:
                return str(load(found)["extensions"]["queues"]["messageEncoding"]).lower()
        except FileNotFoundError:
            folder, before = os.path.dirname(folder), folder
            if folder == before:
                return "base64"
        except (OSError, ValueError, LookupError, TypeError):
            return "base64"


def _code(answer: bytes) -> str:
    """The code of an error of Azure's; never its message, which may quote the request."""
    _, found, rest = answer.partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode("ascii", "replace")[:80] if found else ""


def _namespace(connection: str, end: float) -> tuple[str, str]:
    """The endpoint of a namespace, and what lets one in."""
    if text := setting(connection):
        found = _parts(text, connection)
        host = found.get("endpoint", "").partition("://")[2].rstrip("/")
        if not host:
            raise QueueError(f"the setting {connection} has no Endpoint")
        # The emulator has no certificate: https://learn.microsoft.com/azure/service-bus-messaging/overview-emulator
        is_emulator = found.get("usedevelopmentemulator", "").lower() == "true"
        endpoint = f"{'http' if is_emulator else 'https'}://{host}"
        if signature := found.get("sharedaccesssignature"):
            return endpoint, signature
        if "sharedaccesskeyname" not in found or "sharedaccesskey" not in found:
            raise QueueError(f"the setting {connection} has neither a SharedAccessKey nor a SharedAccessSignature")
        until = int(time.time()) + 600
        return endpoint, sas(endpoint, found["sharedaccesskeyname"], found["sharedaccesskey"], until)
    if name := setting(f"{connection}__fullyQualifiedNamespace"):
        return f"https://{name}", f"Bearer {_token('https://servicebus.azure.net/', connection, end)}"
    raise _not_set(connection)


def sas(uri: str, name: str, key: str, until: int) -> str:
    """A shared access signature.

    https://learn.microsoft.com/rest/api/eventhub/generate-sas-token
    """
    from urllib.parse import quote_plus

    quoted = quote_plus(uri)
    signature = quote_plus(_hmac(key.encode(), f"{quoted}\n{until}"))
    return f"SharedAccessSignature sr={quoted}&sig={signature}&se={until}&skn={quote_plus(name)}"


def _parts(text: str, connection: str) -> dict[str, str]:
    """The parts of a connection string by lower-case name; QueueError for none, which doesn't show it: it holds a key."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise QueueError(f"the setting {connection} is no connection string")
        found[name.strip().lower()] = value.strip()
    return found


def setting(name: str) -> str | None:
    """A setting of the function app."""
    return os.environ.get(name)


def _not_set(connection: str) -> QueueError:
    return QueueError(
        f"the setting {connection} isn't there: it is a connection string, or, with __accountName or "
        "__fullyQualifiedNamespace behind its name, says where an identity gets in"
    )


# By what they are for, with the time at which they end.
_tokens: dict[tuple[str, str], tuple[str, float]] = {}


def _token(resource: str, connection: str, end: float) -> str:
    """A token of the function app's managed identity, kept until five minutes before its end.

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
        raise QueueError(f"{connection} is an identity's, and the app has none: IDENTITY_ENDPOINT isn't set")
    query = {"api-version": "2019-08-01", "resource": resource, **({"client_id": client} if client else {})}
    status, answer = _call("GET", f"{endpoint}?{urlencode(query)}", {"x-identity-header": secret}, None, end)
    try:
        told = loads(answer)
        token, until = str(told["access_token"]), float(told["expires_on"])
    except (ValueError, LookupError, TypeError) as exc:
        raise QueueError(f"the app's identity gets no token for {resource}: {status}") from exc
    _tokens[resource, client] = token, until
    return token


def _call(method: str, url: str, headers: Mapping[str, str], body: bytes | None, end: float) -> tuple[int, bytes]:
    from http.client import HTTPException

    try:
        return call(method, url, headers, body, end - time.monotonic())
    except OSError as exc:
        # Without the URL, which may hold a signature; HTTPException's message may quote it.
        raise QueueError(f"{url.split('/')[2]} can't be reached: {type(exc).__name__}") from exc
    except HTTPException as exc:
        raise QueueError(f"{url.split('/')[2]} can't be reached: {type(exc).__name__}") from None


def call(method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float) -> tuple[int, bytes]:
    """The status and the body of the answer to one HTTP request, in so many seconds."""
    from portable_fn.adapter import http_client as calling_out

    return calling_out.call(method, url, headers, body, seconds)


def _now() -> str:
    # strftime has the names of days and months in the locale's language.
    now = time.gmtime()
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[now.tm_wday]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {now.tm_mday:02} {months[now.tm_mon - 1]} {now.tm_year} {time.strftime('%H:%M:%S', now)} GMT"


def _hmac(key: bytes, text: str) -> str:
    import hmac

    return b2a_base64(hmac.digest(key, text.encode(), "sha256"), newline=False).decode()


def _of_base64(text: str, name: str) -> bytes:
    try:
        return a2b_base64(text)
    except ValueError as exc:
        raise QueueError(f"the {name} of a connection string is no base64") from exc
