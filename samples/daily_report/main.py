import report
from portable_fn_gcp import entry

daily_report = entry(report.daily_report)
