import fan_out as functions
from portable_fn_gcp import entry

orders_placed = entry(functions)

# Each alone, as the target of a separate function.
invoice = entry(functions.invoice)
take = entry(functions.take)
count = entry(functions.count)
