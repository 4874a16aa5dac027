"""A Worker's requests as neutral events.

https://developers.cloudflare.com/workers/runtime-apis/request/
"""

from __future__ import annotations

from collections.abc import Mapping

from portable_fn.context import Context
from portable_fn.http import Principal, Request, given_id
from portable_fn.pairs import Headers
from portable_fn.record import lazy
from portable_fn_cloudflare.running import finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from portable_fn_cloudflare.native import FFI, Cf, Env, ExecutionContext, JavaScript


def request(method: str, url: str, lines: list[list[str]], cf: Cf | None, native: object) -> Request:
    """The request, its body still to be read; `cf` is what the edge found out about it."""
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
    """What surrounds a request to a Worker, read when it is asked for.

    `region` is the data centre that took the request, by its airport's code; it runs the Worker too, unless Smart
    Placement is on. `version` is the id in a version metadata binding named CF_VERSION_METADATA.
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

            # As a task it has the handler's context variables; a coroutine would begin in JavaScript, where there are none.
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
    """A Worker's variables, secrets and bindings by name; those of JSON are plain Python."""

    def __init__(self, env: Env, names: list[str], plain: Callable[[Any], Any]) -> None:
        self._env = env
        self._names = names
        self._plain = plain

    def __getitem__(self, name: str) -> Any:
        # JavaScript's own, such as toString, is an attribute too.
        if name not in self._names:
            raise KeyError(name)
        return self._plain(getattr(self._env, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _headers(lines: list[list[str]]) -> Headers:
    # Names are in lower case, and repeats joined with ", ", except for Set-Cookie. A repeated Cookie too: it stays one value,
    # since what splits cookies at a comma lets a cookie's value forge others (CVE-2016-7401), even __Host- ones.
    values: Any = dict(lines)
    return Headers.lowered(values) if len(values) == len(lines) else Headers((name, value) for name, value in lines)


def _principal(cf: Cf | None) -> Principal | None:
    """The subject of a client certificate that the edge verified; a Cf-Access header may be anybody's word, so it counts nothing.

    https://developers.cloudflare.com/ssl/client-certificates/client-certificate-variables/
    """
    # Read one by one: to convert all of `cf` takes 25 to 50 µs.
    certificate = getattr(cf, "tlsClientAuth", None)
    if certificate is None or getattr(certificate, "certVerified", None) != "SUCCESS":
        return None
    claims: Any = certificate.to_py()
    subject = claims.get("certSubjectDN", "") if isinstance(claims, dict) else None
    # A revoked certificate is a SUCCESS as well.
    if not isinstance(subject, str) or claims.get("certRevoked") == "1":
        return None
    return Principal(subject, "mtls", claims)


def env_of(env: Env, js: JavaScript, ffi: FFI) -> Bindings:
    """A Worker's variables, secrets and bindings."""

    def plain(value: Any) -> Any:
        if value is ffi.jsnull:
            return None
        if isinstance(value, ffi.JsProxy) and value.constructor.name in ("Object", "Array"):
            from json import loads

            return loads(js.JSON.stringify(value))
        return value

    return Bindings(env, js.Object.keys(env._env).to_py(), plain)
