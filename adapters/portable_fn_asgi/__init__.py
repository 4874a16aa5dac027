"""Run portable functions on any ASGI server: containers, Knative, Kubernetes, Dapr."""

from portable_fn_asgi.entry import entry

__all__ = ["entry"]
