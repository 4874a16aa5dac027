"""Cron expressions as Azure's timers have them. https://github.com/atifaziz/NCrontab"""

from __future__ import annotations

from portable_fn.errors import ConfigurationError


def ncrontab(cron: str) -> str:
    """A cron expression of five fields as NCRONTAB, which has seconds first and Sunday as 0 alone.

    Raises ConfigurationError where both days are given: cron takes either, NCRONTAB only days that are both.
    """
    minute, hour, day, month, weekday = cron.split()
    if day not in ("*", "?") and weekday not in ("*", "?"):
        raise ConfigurationError(
            f"the schedule {cron!r} has a day of the month and one of the week: cron means either, Azure both; make two of it"
        )
    day, weekday = ("*" if one == "?" else one for one in (day, weekday))
    return " ".join(("0", minute, hour, day, month, ",".join(_weekday(part) for part in weekday.split(","))))


def _weekday(part: str) -> str:
    """A day of the week, or some, with Sunday as 0."""
    days, slash, step = part.partition("/")
    first, dash, last = days.partition("-")
    if not dash:
        return f"{'0' if first == '7' else first}{slash}{step}"
    if last != "7":
        return part
    if slash or not first.isdigit():
        raise ConfigurationError(
            f"the days {part!r} of a schedule end with 7, which Azure has not: name them one by one"
        )
    return ",".join(str(number % 7) for number in range(int(first), 8))
