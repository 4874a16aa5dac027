import items
from portable_fn_aws import entry

lambda_handler = entry(items)
