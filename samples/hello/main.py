import app
from portable_fn_gcp import entry

hello = entry(app.hello)
