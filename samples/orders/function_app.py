from orders import ship
from portable_fn_azure import entry

app = entry(ship)
