from portable_fn_asgi import entry
from report import daily_report

app = entry(daily_report)
