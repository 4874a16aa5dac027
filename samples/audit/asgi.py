from audit import audit
from portable_fn_asgi import entry

app = entry(audit)
