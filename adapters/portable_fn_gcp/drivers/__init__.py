"""Signed calls of the provider's own APIs."""
