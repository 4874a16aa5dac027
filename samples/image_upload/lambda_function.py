from portable_fn_aws import entry
from thumbnails import thumbnail

lambda_handler = entry(thumbnail)
