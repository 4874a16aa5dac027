import shop
from portable_fn_asgi import entry

app = entry(shop)
