"""portable_fn on any ASGI server: containers, Cloud Run, Knative, Kubernetes."""

from portable_fn_asgi.entry import entry

__all__ = ["entry"]
