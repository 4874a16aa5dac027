"""portable_fn on Cloudflare Workers."""

from portable_fn_cloudflare.entry import entry

__all__ = ["entry"]
