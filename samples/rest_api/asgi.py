import items
from portable_fn_asgi import entry

app = entry(items)
