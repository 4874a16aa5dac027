import audit as functions
from portable_fn_gcp import entry

audit = entry(functions.audit)
