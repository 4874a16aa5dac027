from clicks import gather
from portable_fn_aws import entry

lambda_handler = entry(gather)
