from app import hello
from portable_fn_asgi import entry

app = entry(hello)
