from pipeline import reserve
from portable_fn_asgi import entry

app = entry(reserve)
