from clicks import gather
from portable_fn_asgi import entry

app = entry(gather)
