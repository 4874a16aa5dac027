"""Run portable functions on Google Cloud Functions and Cloud Run."""

from portable_fn_gcp.entry import entry, register

__all__ = ["entry", "register"]
