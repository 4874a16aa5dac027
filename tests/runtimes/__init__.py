"""The real runtimes that the stories run through; each is installed under .cache/ and started once per test run."""
