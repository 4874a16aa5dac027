"""One handler, any serverless provider: `@portable` functions with neutral events, unchanged on all of them."""

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
from portable_fn.http import Principal, Request, Response
from portable_fn.outcomes import Reject, Retry
from portable_fn.pairs import Headers, MutableHeaders, Pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from portable_fn.forms import Upload
    from portable_fn.middleware import cors
    from portable_fn.mounted import asgi_app
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
    "MutableHeaders",
    "ObjectEvent",
    "Pairs",
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
    "on",
    "portable",
]

# Names that most functions never use, and the modules that they cost.
_LAZY = {
    "Trace": "portable_fn.trace",
    "Upload": "portable_fn.forms",
    "asgi_app": "portable_fn.mounted",
    "cors": "portable_fn.middleware",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'portable_fn' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
