"""Stand for the carrier. A real one is behind an API."""


class Busy(Exception):
    """The carrier accepts nothing for this many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"busy for {seconds} s")
        self.seconds = seconds


class Carrier:
    """A carrier that accepts parcels as long as it has room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.booked: dict[str, int] = {}

    def book(self, order: str, parcels: int) -> None:
        """Book the order once, even if called twice: a queue may deliver a message twice."""
        if order in self.booked:
            return
        if sum(self.booked.values()) + parcels > self.room:
            raise Busy(seconds=30)
        self.booked[order] = parcels
