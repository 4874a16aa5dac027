import fan_out as functions
from portable_fn_aws import entry

lambda_handler = entry(functions)

# Each alone, as the handler of a separate Lambda function.
invoice = entry(functions.invoice)
take = entry(functions.take)
count = entry(functions.count)
