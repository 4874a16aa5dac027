"""Middleware that runs around a handler."""
