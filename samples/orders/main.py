import orders
from portable_fn_gcp import entry

ship = entry(orders.ship)
