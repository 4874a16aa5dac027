from app import hello
from portable_fn_cloudflare import entry

Default = entry(hello)
