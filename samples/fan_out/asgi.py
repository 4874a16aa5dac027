import fan_out as functions
from portable_fn_asgi import entry

app = entry(functions)

# Each alone: uvicorn asgi:invoice.
invoice = entry(functions.invoice)
take = entry(functions.take)
count = entry(functions.count)
