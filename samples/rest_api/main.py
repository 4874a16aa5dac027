import items as functions
from portable_fn_gcp import entry

items = entry(functions)
