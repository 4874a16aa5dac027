from orders import ship
from portable_fn_asgi import entry

app = entry(ship)
