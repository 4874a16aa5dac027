import items
from portable_fn_azure import entry

app = entry(items)
