"""Load a Firestore event as Eventarc sends it: a document of ten fields before and after an update, as protobuf."""

from __future__ import annotations

from binascii import a2b_hex
from pathlib import Path

# Written by Google's own classes: tests/payloads/google-events/make_firestore.py.
EVENTS = {"update": a2b_hex((Path(__file__).parent / "firestore_update.hex").read_text().strip())}
