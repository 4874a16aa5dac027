"""Measure portable_fn beside hand-written code and other libraries, in one run: `python -m benchmarks`."""
