"""What portable_fn costs beside hand-written code and its peers, in one run: `python -m benchmarks`."""
