"""portable_fn on Google Cloud Functions and Cloud Run functions."""

from portable_fn_gcp.entry import entry, register

__all__ = ["entry", "register"]
