from audit import audit
from portable_fn_aws import entry

lambda_handler = entry(audit)
