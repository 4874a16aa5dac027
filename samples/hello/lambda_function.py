from app import hello
from portable_fn_aws import entry

lambda_handler = entry(hello)
