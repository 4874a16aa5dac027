"""Everything but HTTP: decode events, run functions on them, encode the outcomes."""
