from audit import audit
from portable_fn_azure import entry

app = entry(audit, options={"accounts": {"database_name": "shop"}})
