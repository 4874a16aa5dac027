"""Keep visits in a table. A real one is a database."""


class Throttled(Exception):
    """The table refuses this visitor's writes for now."""


class Visits:
    def __init__(self) -> None:
        self.clicks: dict[str, dict[str, str]] = {}
        self.throttled: set[str] = set()

    def add(self, visitor: str, clicks: dict[str, str]) -> None:
        """Add pages by the ids of their clicks, all or none. Known ids stay."""
        if visitor in self.throttled:
            raise Throttled(visitor)
        self.clicks[visitor] = {**self.clicks.get(visitor, {}), **clicks}

    def path(self, visitor: str) -> list[str]:
        """Return the pages in the order in which they were seen."""
        return list(self.clicks.get(visitor, {}).values())
