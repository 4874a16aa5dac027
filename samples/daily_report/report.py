"""Report every morning what was sold the day before."""

import json
from datetime import date, timedelta

from portable_fn import ScheduleEvent, on, portable
from sales import Sale, sales_of


@portable(on.schedule("0 6 * * *", name="daily-report"))
def daily_report(tick: ScheduleEvent) -> None:
    # The day is that of the time when it was due: a late or repeated run reports the same.
    day = tick.time.date() - timedelta(days=1)
    publish(day, total(sales_of(day)))


def total(sales: list[Sale]) -> dict[str, int]:
    """Return the cents earned by each product."""
    cents: dict[str, int] = {}
    for sale in sales:
        cents[sale.product] = cents.get(sale.product, 0) + sale.cents
    return cents


def publish(day: date, cents: dict[str, int]) -> None:
    """Print the report as a line of JSON that a log search finds. A real one is mailed."""
    print(json.dumps({"report": "sales", "day": day.isoformat(), "cents": cents}), flush=True)
