import clicks
from portable_fn_gcp import entry

gather = entry(clicks.gather)
