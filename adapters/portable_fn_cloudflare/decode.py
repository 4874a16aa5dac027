"""Decode a Worker's requests.

https://developers.cloudflare.com/workers/runtime-apis/request/
"""

from __future__ import annotations

from collections.abc import Mapping

from portable_fn.context import Context
from portable_fn.http import Principal, Request, given_id
from portable_fn.pairs import Headers
from portable_fn.record import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from portable_fn_cloudflare.native import FFI, Cf, Env, ExecutionContext, JavaScript


def request(method: str, url: str, lines: list[list[str]], cf: Cf | None, native: object) -> Request:
    """Decode a request without its body; `cf` is what the edge knows about it."""
    scheme, _, rest = url.partition("://")
    target, _, query = rest.partition("?")
    host, slash, path = target.partition("/")
    if not slash and host.endswith("*"):
        # OPTIONS * arrives as https://example.com*
        host, path = host[:-1], "*"
    headers = _headers(lines)
    return Request(
        method,
        slash + path or "/",
        query,
        headers,
        host=host,
        scheme=scheme,
        client_ip=headers.get("cf-connecting-ip"),
        principal=_principal(cf),
        id=given_id(headers, "cf-ray"),
        native=native,
    )


class CloudflareContext(Context):
    """The context of a request to a Worker. Its fields are read on first use.

    `region` is the airport code of the data centre that received the request. The Worker runs there too, unless Smart Placement
    is on. `version` is the id of the version metadata binding CF_VERSION_METADATA.
    """

    native: ExecutionContext

    _deadline = None

    def __init__(
        self,
        native: ExecutionContext,
        event: Request,
        cf: Cf | None,
        cold_start: bool,
        env: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.provider = "cloudflare"
        self.function = ""
        self.invocation_id = event.id
        self.native = native
        self.cold_start = cold_start
        self.event: Request = event
        self._cf = cf
        self._env = env

    def _wait_until(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.pending.append(coroutine)
        if (wait_until := getattr(self.native, "waitUntil", None)) is not None:
            from asyncio import create_task

            from portable_fn_cloudflare.running import finish

            # A task has the handler's context variables. A coroutine would start in JavaScript, which has none.
            wait_until(create_task(finish(self)))

    @lazy
    def region(self) -> str:
        colo: Any = getattr(self._cf, "colo", "")
        return colo if isinstance(colo, str) else ""

    @lazy
    def version(self) -> str:
        metadata = self.env.get("CF_VERSION_METADATA")
        id = metadata.get("id") if isinstance(metadata, Mapping) else None
        return id if isinstance(id, str) else ""


class Bindings(Mapping[str, "Any"]):
    """A Worker's variables, secrets and bindings by name; JSON variables are plain Python."""

    def __init__(self, env: Env, names: list[str], plain: Callable[[Any], Any]) -> None:
        self._env = env
        self._names = names
        self._plain = plain

    def __getitem__(self, name: str) -> Any:
        # JavaScript's methods, such as toString, are attributes too.
        if name not in self._names:
            raise KeyError(name)
        return self._plain(getattr(self._env, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _headers(lines: list[list[str]]) -> Headers:
    # Names are in lower case. Repeats are joined with ", ", except Set-Cookie. A repeated Cookie stays one value: splitting at a
    # comma would let a cookie's value forge other cookies (CVE-2016-7401), even __Host- ones.
    values: Any = dict(lines)
    return Headers.lowered(values) if len(values) == len(lines) else Headers((name, value) for name, value in lines)


def _principal(cf: Cf | None) -> Principal | None:
    """Return the subject of a client certificate that the edge verified. Cf-Access headers are ignored: any client can send them.

    https://developers.cloudflare.com/ssl/client-certificates/client-certificate-variables/
    """
    # Converting all of `cf` takes 25 to 50 µs, so its fields are read one by one.
    certificate = getattr(cf, "tlsClientAuth", None)
    if certificate is None or getattr(certificate, "certVerified", None) != "SUCCESS":
        return None
    claims: Any = certificate.to_py()
    subject = claims.get("certSubjectDN", "") if isinstance(claims, dict) else None
    # A revoked certificate is a SUCCESS, too.
    if not isinstance(subject, str) or claims.get("certRevoked") == "1":
        return None
    return Principal(subject, "mtls", claims)


def env_of(env: Env, js: JavaScript, ffi: FFI) -> Bindings:
    """Return a Worker's variables, secrets and bindings."""

    def plain(value: Any) -> Any:
        if value is ffi.jsnull:
            return None
        if isinstance(value, ffi.JsProxy) and value.constructor.name in ("Object", "Array"):
            from json import loads

            return loads(js.JSON.stringify(value))
        return value

    return Bindings(env, js.Object.keys(env._env).to_py(), plain)
