"""portable_fn on Azure Functions."""

from portable_fn_azure.entry import entry

__all__ = ["entry"]
