from portable_fn_aws import entry
from report import daily_report

lambda_handler = entry(daily_report)
