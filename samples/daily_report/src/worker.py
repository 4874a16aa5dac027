from portable_fn_cloudflare import entry
from report import daily_report

Default = entry(daily_report)
