from pipeline import reserve
from portable_fn_aws import entry

lambda_handler = entry(reserve)
