from portable_fn_azure import entry
from report import daily_report

app = entry(daily_report)
