import items
from portable_fn_cloudflare import entry

Default = entry(items)
