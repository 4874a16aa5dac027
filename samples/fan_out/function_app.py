import fan_out as functions
from portable_fn_azure import entry

app = entry(functions)
