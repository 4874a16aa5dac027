from orders import ship
from portable_fn_aws import entry

lambda_handler = entry(ship)
