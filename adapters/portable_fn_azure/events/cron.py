"""Translate cron expressions for Azure's timers.

https://github.com/atifaziz/NCrontab
"""

from __future__ import annotations

from portable_fn.errors import ConfigurationError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),  # Sunday is 0 or 7
)


def ncrontab(cron: str) -> str:
    """Return a cron expression of five fields as NCRONTAB, which starts with seconds and has Sunday only as 0.

    Raises:
        ConfigurationError: The host can't read the expression, and would never call the function. A range ends before it
            starts: NCRONTAB would swap its ends. Or it has both days: cron runs on either, NCRONTAB only on days that are both.
    """
    minute, hour, day, month, weekday = fields = cron.split()
    for field, (what, least, greatest, names) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not ((part == "?" and what.startswith("day")) or _is_possible(part.lower(), least, greatest, names)):
                raise ConfigurationError(
                    f"Azure doesn't take {part!r} as the {what} of the schedule {cron!r}: use *, values from {least} to "
                    f"{greatest}, ranges such as {least}-{greatest}, and steps such as */{greatest // 2}"
                )
    if day not in ("*", "?") and weekday not in ("*", "?"):
        raise ConfigurationError(
            f"the schedule {cron!r} has a day of the month and one of the week: cron runs on either, Azure only on both; use "
            "two schedules"
        )
    day, weekday = ("*" if field == "?" else field for field in (day, weekday))
    return " ".join(("0", minute, hour, day, month, ",".join(_weekday(part) for part in weekday.split(","))))


def _is_possible(part: str, least: int, greatest: int, names: tuple[str, ...]) -> bool:
    """Return whether a field of NCRONTAB can have it: a value, a range or all, and perhaps a step."""
    values, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdecimal() and int(step) > 0):
        return False
    if values == "*":
        return True
    ends = []
    for value in values.split("-"):
        if value.isascii() and value.isdecimal():
            ends.append(int(value))
        elif value in names:
            ends.append(names.index(value) + least)
        else:
            return False
    return len(ends) < 3 and ends == sorted(ends) and least <= ends[0] and ends[-1] <= greatest


def _weekday(part: str) -> str:
    """Return a day of the week, or a range of days, with Sunday as 0."""
    days, slash, step = part.partition("/")
    first, dash, last = days.partition("-")
    if not dash:
        return f"{'0' if first == '7' else first}{slash}{step}"
    if last != "7":
        return part
    if slash or not first.isdigit():
        raise ConfigurationError(
            f"the days {part!r} of a schedule end with 7, which Azure doesn't take: list them, such as 5,6,0"
        )
    return ",".join(str(number % 7) for number in range(int(first), 8))
