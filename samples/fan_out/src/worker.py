import fan_out as functions
from portable_fn_cloudflare import entry

Default = entry(functions)
