"""Which story of events can't hold on which service, with the reason: each is tested to fail there."""

from __future__ import annotations

CANNOT: dict[tuple[str, str], dict[str, str]] = {}
