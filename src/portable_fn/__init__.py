"""Write a serverless handler once; run it on any provider."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn import on
    from portable_fn.context import Context
    from portable_fn.cookies import Cookie
    from portable_fn.decorator import portable
    from portable_fn.errors import ConfigurationError, DecodeError, EncodeError, HTTPError, PortableError
    from portable_fn.events import (
        Batch,
        ChangeEvent,
        CloudEvent,
        Event,
        Message,
        ObjectEvent,
        ScheduleEvent,
        Task,
    )
    from portable_fn.forms import Upload
    from portable_fn.http import Principal, Request, Response
    from portable_fn.middleware.cors import cors
    from portable_fn.mount import asgi_app
    from portable_fn.mount_wsgi import wsgi_app
    from portable_fn.on import env
    from portable_fn.outcomes import Reject, Retry
    from portable_fn.pairs import Headers, MultiDict, MutableHeaders
    from portable_fn.trace import Trace

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "ChangeEvent",
    "CloudEvent",
    "ConfigurationError",
    "Context",
    "Cookie",
    "DecodeError",
    "EncodeError",
    "Event",
    "HTTPError",
    "Headers",
    "Message",
    "MultiDict",
    "MutableHeaders",
    "ObjectEvent",
    "PortableError",
    "Principal",
    "Reject",
    "Request",
    "Response",
    "Retry",
    "ScheduleEvent",
    "Task",
    "Trace",
    "Upload",
    "asgi_app",
    "cors",
    "env",
    "on",
    "portable",
    "wsgi_app",
]

# The module of each name. Names are imported on first use, so the pytest plugin, which every pytest imports, costs none.
_HOMES = {
    "context": ("Context",),
    "cookies": ("Cookie",),
    "decorator": ("portable",),
    "errors": ("ConfigurationError", "DecodeError", "EncodeError", "HTTPError", "PortableError"),
    "events": ("Batch", "ChangeEvent", "CloudEvent", "Event", "Message", "ObjectEvent", "ScheduleEvent", "Task"),
    "forms": ("Upload",),
    "http": ("Principal", "Request", "Response"),
    "middleware.cors": ("cors",),
    "mount": ("asgi_app",),
    "mount_wsgi": ("wsgi_app",),
    "on": ("env",),
    "outcomes": ("Reject", "Retry"),
    "pairs": ("Headers", "MutableHeaders", "MultiDict"),
    "trace": ("Trace",),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "on":
        return import_module("portable_fn.on")
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"portable_fn.{home}"), name)
            return value
    raise AttributeError(f"module 'portable_fn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
