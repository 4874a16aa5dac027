from pipeline import reserve
from portable_fn_cloudflare import entry

Default = entry(reserve)
