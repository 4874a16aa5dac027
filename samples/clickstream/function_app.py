from clicks import gather
from portable_fn_azure import entry

app = entry(gather)
