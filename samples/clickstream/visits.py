"""The table of visits; a real one is a database."""


class Throttled(Exception):
    """The table takes no more writes of this visitor for now."""


class Visits:
    def __init__(self) -> None:
        self.clicks: dict[str, dict[str, str]] = {}
        self.throttled: set[str] = set()

    def add(self, visitor: str, clicks: dict[str, str]) -> None:
        """Adds pages by the ids of their clicks, all or none; those that are there already stay."""
        if visitor in self.throttled:
            raise Throttled(visitor)
        self.clicks[visitor] = {**self.clicks.get(visitor, {}), **clicks}

    def path(self, visitor: str) -> list[str]:
        """The pages in the order in which they were seen."""
        return list(self.clicks.get(visitor, {}).values())
