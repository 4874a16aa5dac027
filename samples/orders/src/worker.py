from orders import ship
from portable_fn_cloudflare import entry

Default = entry(ship)
