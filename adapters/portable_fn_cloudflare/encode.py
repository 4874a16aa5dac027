"""Encode responses as JavaScript's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.context import Context
    from portable_fn.http import Response
    from portable_fn_cloudflare.native import FFI, JavaScript


def response(response: Response, context: Context, js: JavaScript, ffi: FFI) -> object:
    """Build the Response that `fetch` returns. workerd accepts the SDK's and JavaScript's own.

    https://developers.cloudflare.com/workers/runtime-apis/response/
    """
    body = response.body
    options = {"status": response.status, "headers": ffi.to_js(response.wire_headers())}
    if "content-encoding" in response.headers:
        # Without it, workerd encodes the body again.
        options["encodeBody"] = "manual"
    native: object = None
    if not isinstance(body, bytes):
        from portable_fn_cloudflare.stream import readable

        native = readable(body, context, js, ffi)
    elif body:
        # A memoryview is copied once, bytes twice: 340 and 620 µs a MiB.
        native = ffi.to_js(memoryview(body))
    return js.Response.new(native, **options)
