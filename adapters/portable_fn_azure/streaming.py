"""Answer Azure's streaming extension, which passes Starlette's requests and takes Starlette's responses.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger?pivots=programming-language-python#http-streams
"""

from __future__ import annotations

from portable_fn.adapter.asgi import send_response
from portable_fn.adapter.calling import finish_background
from portable_fn.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from portable_fn.adapter.asgi import Receive, Scope, Send
    from portable_fn.context import Context
    from portable_fn.http import Response


def answer_class() -> Callable[[Response, Context], Any]:
    """Return a class of Starlette responses. Importing the extension switches the whole FunctionApp to streaming."""
    from importlib import import_module

    try:
        base: Any = import_module("azurefunctions.extensions.http.fastapi").Response
    except ImportError as exc:
        raise ConfigurationError(
            "streaming needs the package azurefunctions-extensions-http-fastapi: add it to requirements.txt"
        ) from exc

    class Answer(base):  # type: ignore[misc]  # from the extension
        """A response that an ASGI server sends, outside the invocation's task."""

        def __init__(self, response: Response, context: Context) -> None:
            from contextvars import copy_context

            super().__init__()
            self._response = response
            self._context = context
            self._variables = copy_context()
            self.application: Any = self._send

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            from asyncio import get_running_loop

            # The stream needs the context variables that the handler set.
            sending = self.application(scope, receive, send)
            await get_running_loop().create_task(sending, context=self._variables)

        async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await send_response(self._response, self._context, receive, send)
            finally:
                if self._context.has_background:
                    await finish_background(self._context)

    return Answer
