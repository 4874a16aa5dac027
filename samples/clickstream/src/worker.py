from clicks import gather
from portable_fn_cloudflare import entry

Default = entry(gather)
