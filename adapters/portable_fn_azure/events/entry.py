"""Run a trigger other than HTTP: decode its events, call the handler, encode the outcomes."""

from __future__ import annotations

from contextvars import copy_context
from copy import copy

from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.calling import finish_alone, finish_background
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import ConfigurationError
from portable_fn.events import ChangeEvent
from portable_fn_azure import decode
from portable_fn_azure.events import decode as decode_events
from portable_fn_azure.events import encode as encode_events
from portable_fn_azure.events.event_grid import unwrap
from portable_fn_azure.events.progress import Progress
from portable_fn_azure.running import on_worker_loop, run_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from portable_fn.events import Event
    from portable_fn.outcomes import Reject
    from portable_fn_azure.decode import AzureContext
    from portable_fn_azure.events.function import DeadLetterQueue, TriggerFunction
    from portable_fn_azure.events.progress import Attempt
    from portable_fn_azure.native import FunctionContext

    CreateContext = Callable[[FunctionContext | None], AzureContext]


def azure_function(function: TriggerFunction, create_context: CreateContext) -> Callable[..., Any]:
    """Return the function that the worker calls in a thread, or awaits if the handler is async."""
    router = EventRouter(function, create_context)

    def run_in_worker_thread(event, context, actions=None):  # type: ignore[no-untyped-def]  # see _declare
        variables = copy_context()
        invocation, attempt, outcomes = router.start(event, context)
        finish_alone(invocation, lambda work: run_in_thread(decode.logged_steps(work, invocation), variables))
        return router.finish(event, invocation, attempt, outcomes, actions)

    async def run_in_worker_loop(event, context, actions=None):  # type: ignore[no-untyped-def]  # see _declare
        on_worker_loop()
        invocation, attempt, outcomes = router.start(event, context)
        if not isinstance(outcomes, list):
            outcomes = await outcomes
        if invocation.has_background:
            await finish_background(invocation)
        if actions is None:
            return router.finish(event, invocation, attempt, outcomes, None)
        from asyncio import to_thread

        return await to_thread(router.finish, event, invocation, attempt, outcomes, actions)

    run = run_in_worker_loop if function.binding.is_async else run_in_worker_thread
    _declare(run, settles=function.settles)
    return run


class EventRouter:
    """Take the events of one trigger to its handler, and the outcomes back."""

    def __init__(self, function: TriggerFunction, create_context: CreateContext) -> None:
        # A handler with several triggers has an Azure function for each. This one takes only its own trigger's events.
        binding = copy(function.binding)
        binding.triggers = (function.trigger,)
        dead_letter = None
        if function.dead_letter is not None:
            dead_letter = _dead_letter_sender(function.dead_letter, binding.file)
        self.consumer = Consumer(
            Dispatcher([binding], unwrap), key=order_of, rejects=function.settles, dead_letter=dead_letter
        )
        self._function = function
        self._progress = Progress()
        self._is_task = function.service.name == "durable_activity"
        self._is_repeated = function.retry is not None and not function.settles
        self._create_context = create_context

    def start(self, native: Any, context: FunctionContext | None) -> tuple[AzureContext, Attempt, Any]:
        """Decode the events and call the handler. The outcomes are a list, or an awaitable if the handler is async."""
        invocation = self._create_context(context)
        attempt = self._progress.begin(decode_events.decode(native, self._function, context), context)
        invocation.raises_errors = len(attempt.left) == 1 and not self._function.settles
        return invocation, attempt, self.consumer.handle(attempt.left, invocation)

    def finish(self, native: Any, invocation: AzureContext, attempt: Attempt, outcomes: Any, actions: Any) -> Any:
        """Encode the outcomes: settle each message, or return or raise what ends the invocation."""
        if actions is not None:
            encode_events.settle_each(native, outcomes, actions, invocation)
            return None
        if self._is_repeated:
            attempt.end(outcomes)
        if self._is_task:
            return encode_events.task_result(outcomes[0])
        encode_events.acknowledge(outcomes)
        return None


def order_of(event: Any) -> object:
    """Return the key of what must stay in order: a partition, a session, a table."""
    if isinstance(event, ChangeEvent):
        return event.table
    partition = getattr(event, "partition", None)
    return partition if partition is not None else getattr(event, "key", None)


def _dead_letter_sender(queue: DeadLetterQueue, file: str) -> Callable[..., bool]:
    """Return a sender for the queue. An output binding sends one message per invocation, without attributes."""

    def send(event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        from portable_fn_azure.drivers import queue as queues

        queues.dead_letter(queue.service, queue.name, queue.connection, event, reject, seconds, file)
        return True

    return send


def _declare(function: Any, *, settles: bool) -> None:
    """Show the worker the parameters that it fills.

    It refuses a parameter without a binding, unless an extension fills it by its type, and it reads the types of the others as
    bindings' types. Source: azure-functions-runtime, functions.py, add_indexed_function and validate_function_params.
    """
    from inspect import Parameter, Signature

    names = ("event", "context", "actions") if settles else ("event", "context")
    function.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])
    if settles:
        function.__annotations__ = _settlement_types()


def _settlement_types() -> dict[str, Any]:
    from importlib import import_module
    from typing import List  # noqa: UP035  # the extension refuses list[…]: seen with 1.0.0b2

    try:
        extension: Any = import_module("azurefunctions.extensions.bindings.servicebus")
    except ImportError as exc:
        raise ConfigurationError(
            "settlement needs the package azurefunctions-extensions-bindings-servicebus: add it to requirements.txt"
        ) from exc
    return {
        "event": List[extension.ServiceBusReceivedMessage],  # noqa: UP006  # see above
        "actions": extension.ServiceBusMessageActions,
    }
