"""What an invocation of a trigger other than HTTP comes to."""

from __future__ import annotations

from contextvars import copy_context

from portable_fn.adapter.calling import finish_alone, finish_background
from portable_fn.errors import ConfigurationError
from portable_fn.outcomes import Done, Reject
from portable_fn_azure import decode
from portable_fn_azure.events import encode as encode_events
from portable_fn_azure.events import messages
from portable_fn_azure.running import on_worker_loop, run_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from portable_fn.adapter.batch import Item
    from portable_fn.outcomes import Outcome
    from portable_fn_azure.decode import AzureContext
    from portable_fn_azure.events.function import TriggerFunction
    from portable_fn_azure.native import FunctionContext, ServiceBusMessageActions

    Begin = Callable[[FunctionContext | None], AzureContext]


# The worker wants no other parameters than those of the bindings and `context`, and no annotations.


def azure_function(wiring: TriggerFunction, begin: Begin) -> Callable[..., Any]:
    """The Azure function, which the worker calls in a thread of its pool, or awaits if its handler is async."""
    if wiring.function.is_async:
        work_in_loop = _in_event_loop(wiring, begin)

        async def plain_in_loop(event, context):  # type: ignore[no-untyped-def]  # see above
            return await work_in_loop(event, context)

        async def settling_in_loop(event, context, actions):  # type: ignore[no-untyped-def]  # see above
            return await work_in_loop(event, context, actions)

        shapes: tuple[Any, ...] = (plain_in_loop, settling_in_loop)
    else:
        work = _in_thread(wiring, begin)

        def plain(event, context):  # type: ignore[no-untyped-def]  # see above
            return work(event, context)

        def settling(event, context, actions):  # type: ignore[no-untyped-def]  # see above
            return work(event, context, actions)

        shapes = (plain, settling)
    function: Callable[..., Any] = shapes[1 if wiring.settles else 0]
    if wiring.settles:
        function.__annotations__ = _settlement_types()
    return function


def _in_thread(wiring: TriggerFunction, begin: Begin) -> Callable[..., Any]:
    def work(native: Any, context: FunctionContext | None, actions: ServiceBusMessageActions | None = None) -> Any:
        invocation = begin(context)
        variables = copy_context()
        attempt = wiring.progress.begin(_items(native, wiring, context), context)
        invocation.raises_errors = len(attempt.left) == 1 and actions is None
        outcomes: Any = wiring.consumer.handle(attempt.left, invocation)
        finish_alone(invocation, lambda work: run_in_thread(decode.logged_steps(work, invocation), variables))
        if actions is not None:
            _settle_each(native, outcomes, actions, invocation)
            return None
        if wiring.retry is not None:
            attempt.end(outcomes)
        return _answer(wiring, outcomes)

    return work


def _in_event_loop(wiring: TriggerFunction, begin: Begin) -> Callable[..., Awaitable[Any]]:
    from asyncio import to_thread

    async def work(
        native: Any, context: FunctionContext | None, actions: ServiceBusMessageActions | None = None
    ) -> Any:
        on_worker_loop()
        invocation = begin(context)
        attempt = wiring.progress.begin(_items(native, wiring, context), context)
        invocation.raises_errors = len(attempt.left) == 1 and actions is None
        outcomes: Any = wiring.consumer.handle(attempt.left, invocation)
        if not isinstance(outcomes, list):
            outcomes = await outcomes
        if invocation.has_background:
            await finish_background(invocation)
        if actions is not None:
            await to_thread(_settle_each, native, outcomes, actions, invocation)
            return None
        if wiring.retry is not None:
            attempt.end(outcomes)
        return _answer(wiring, outcomes)

    return work


def _items(native: Any, wiring: TriggerFunction, context: FunctionContext | None) -> list[Item]:
    found = messages.read(f"what {wiring.service.name} hands over", wiring.service.items, native, wiring, context)
    return found if isinstance(found, list) else [found]


def _answer(wiring: TriggerFunction, outcomes: Sequence[Outcome]) -> Any:
    if wiring.service.name == "durable_activity":
        return encode_events.activity(outcomes[0])
    return encode_events.invocation(outcomes)


def _settle_each(
    natives: Any, outcomes: Sequence[Outcome], actions: ServiceBusMessageActions, context: AzureContext
) -> None:
    """Settles each message with Service Bus; raises where the host couldn't for one, which comes again when its lock ends."""
    failure: Exception | None = None
    for native, outcome in zip(natives if isinstance(natives, list) else [natives], outcomes, strict=False):
        try:
            if isinstance(outcome, Done):
                actions.complete(native)
            elif isinstance(outcome, Reject):
                actions.deadletter(native, deadletter_reason=outcome.why[:4096] or "rejected")
            else:
                actions.abandon(native)
        except Exception as exc:
            context.log.error("a message can't be settled", exc_info=exc)
            failure = exc
    if failure is not None:
        raise failure


def _settlement_types() -> dict[str, Any]:
    from importlib import import_module
    from typing import List  # noqa: UP035  # the extension takes no list[…]: seen with 1.0.0b2

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
