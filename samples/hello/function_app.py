from app import hello
from portable_fn_azure import entry

app = entry(hello)
