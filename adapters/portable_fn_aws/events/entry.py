"""Run the functions for every payload that isn't a request: decode, call, encode."""

from __future__ import annotations

import os

from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import ConfigurationError
from portable_fn.events import Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.outcomes import DONE, Done, Reject, Retry
from portable_fn_aws.events import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context as Variables
    from typing import Any

    from portable_fn.outcomes import Outcome
    from portable_fn_aws.decode import AWSContext
    from portable_fn_aws.events.decode import IncomingEvents, Item

    Run = Callable[[Any, Variables], Any]

# Services that accept a report of the failed records, if the event source mapping says so.
_REPORTED = ("sqs", "kinesis", "dynamodb", "kafka")


class EventRouter:
    """Routes events to an entry's functions, and answers AWS.

    PORTABLE_FN_AWS_BATCH decides what happens if a part of a batch fails:

    - "report", the default: the answer is batchItemFailures; if the whole batch failed, the entry raises. An event source
      mapping without ReportBatchItemFailures loses the reported records.
    - "report-always": the answer is batchItemFailures in both cases. Use it if all mappings have ReportBatchItemFailures.
    - "raise": the whole batch fails.

    Raises:
        ConfigurationError: PORTABLE_FN_AWS_BATCH has another value.
    """

    def __init__(self, dispatcher: Dispatcher, run: Run) -> None:
        self._run = run
        mode = os.environ.get("PORTABLE_FN_AWS_BATCH") or "report"
        if mode not in ("report", "report-always", "raise"):
            raise ConfigurationError(f"PORTABLE_FN_AWS_BATCH is {mode!r}; set report, report-always or raise")
        self._reports = mode != "raise"
        self._reports_always = mode == "report-always"
        self._dispatcher = dispatcher
        self._consumers: dict[Callable[[Any], object] | None, Consumer] = {
            key: Consumer(self._dispatcher, key=key, dead_letter=self._dead_letter)
            for key in (None, decode.group, decode.shard, decode.topic_partition)
        }
        takes = self._dispatcher.takes
        # A schedule's input looks like a direct call's: only the functions tell which it is.
        self._takes_schedule_input = takes(ScheduleEvent) and not takes(Task) and not takes(Event)
        kinds = {function.kind for function in dispatcher.functions}
        self._takes_task = takes(Task)
        self._takes_only_tasks = kinds == {Task}
        # Services that also send notices about themselves; acknowledged unless a handler accepts any event.
        self._sends_notices = {
            *(("sqs", "sns") if takes(ObjectEvent) or not kinds & {Event, Message} else ()),
            *(("docdb",) if Event not in kinds else ()),
        }
        self._context: AWSContext | None = None
        # If "report-always" is set, somebody checked the mappings.
        self._warned = self._reports_always

    def answer(self, payload: Any, context: AWSContext, variables: Variables) -> Any:
        """Handle the events in a payload and return the native answer; raise if the source must see a failed invocation."""
        incoming = self._read(payload, context)
        service = incoming.service
        self._context = context
        context.raises_errors = len(incoming.items) == 1 and not (self._reports_always and service in _REPORTED)
        if service in self._sends_notices:
            outcomes = self._handle_without_notices(incoming, context, variables)
        else:
            outcomes = self._handle(incoming, incoming.items, context, variables)
        if service != "invoke":
            if not [True for outcome in outcomes if outcome is not DONE]:
                return encode.acknowledge_all(incoming)
            if any(isinstance(outcome, Retry) for outcome in outcomes):
                self._prepare_retries(incoming, outcomes, context)
        return encode.acknowledge(incoming, outcomes, reports=self._reports, reports_always=self._reports_always)

    def _read(self, payload: Any, context: AWSContext) -> IncomingEvents:
        incoming = None if self._takes_only_tasks else decode.read_events(payload, context)
        # Step Functions may pass a bus event on as the input of a task: it is one if no function takes the event.
        if incoming is None or (
            self._takes_task
            and incoming.service == "eventbridge"
            and not self._dispatcher.takes_event(incoming.items[0])
        ):
            incoming = decode.read_call(payload, context)
        if incoming.service == "invoke" and self._takes_schedule_input:
            incoming.items = [decode.read_schedule_input(payload, context)]
        return incoming

    def _handle(
        self, incoming: IncomingEvents, items: Sequence[Item], context: AWSContext, variables: Variables
    ) -> list[Outcome]:
        """Return the outcome of each record."""
        outcomes: Any = self._consumers[incoming.key].handle(
            items, context, window=incoming.window, state=incoming.state
        )
        if type(outcomes) is not list:
            try:
                outcomes = self._run(outcomes, variables)
            except Exception:
                raise
            except BaseException as exc:
                # A handler cancelled every task of the loop. awslambdaric exits on an error that isn't an Exception.
                raise encode.as_exception(exc) from exc
        if incoming.places is not None:
            from portable_fn_aws.events.packed import merge

            incoming.results = [outcome.result if isinstance(outcome, Done) else None for outcome in outcomes]
            outcomes = merge(outcomes, incoming.places, len(incoming.records))
        return outcomes  # type: ignore[no-any-return]  # a list of outcomes

    def _handle_without_notices(
        self, incoming: IncomingEvents, context: AWSContext, variables: Variables
    ) -> list[Outcome]:
        """Return the outcome of each record; acknowledge notices without a call."""
        notices = [self._is_notice(item) for item in incoming.items]
        items = [item for item, is_notice in zip(incoming.items, notices, strict=True) if not is_notice]
        outcomes = iter(self._handle(incoming, items, context, variables))
        return [DONE if is_notice else next(outcomes) for is_notice in notices]

    def _is_notice(self, item: Item) -> bool:
        # A message that a function takes is a message, whatever its text looks like.
        return isinstance(item, Event) and not self._dispatcher.takes_message(item) and decode.is_notice(item)

    def _prepare_retries(self, incoming: IncomingEvents, outcomes: Sequence[Outcome], context: AWSContext) -> None:
        """Set the delays of retries, and warn once that AWS loses records if the mapping lacks a setting."""
        if incoming.service == "sqs" and not incoming.pipe:
            _delay(incoming, outcomes, context)
        retries = sum(type(outcome) is Retry for outcome in outcomes)
        if self._reports and not self._warned and incoming.service in _REPORTED and retries < len(outcomes):
            self._warned = True
            context.log.warning(
                "%d of %d %s records are reported as failed: without FunctionResponseTypes=[ReportBatchItemFailures] on the "
                "event source mapping they are lost; PORTABLE_FN_AWS_BATCH=raise fails whole batches instead",
                retries, len(outcomes), incoming.service,
            )  # fmt: skip

    def _dead_letter(self, event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        from portable_fn_aws.drivers import queue

        owner = "" if self._context is None else self._context.arn
        queue.dead_letter(event, reject, dead_letter, owner, seconds)
        return True


def _delay(incoming: IncomingEvents, outcomes: Sequence[Outcome], context: AWSContext) -> None:
    """Set the delay of each retry that has one; if SQS refuses, the queue's visibility timeout applies."""
    delays = []
    arn = ""
    for record, outcome in zip(incoming.records, outcomes, strict=True):
        if isinstance(outcome, Retry) and (seconds := outcome.whole_seconds) is not None:
            handle = record.get("receiptHandle")
            if isinstance(handle, str):
                delays.append((handle, seconds))
                arn = record["eventSourceARN"]
    if not delays:
        return
    from portable_fn_aws.drivers import api, queue

    # Leave half of the time for the answer.
    remaining = context.remaining()
    try:
        queue.delay(arn, delays, 3600.0 if remaining is None else max(remaining / 2, 0.01))
    except api.SQSError as exc:
        context.log.warning(
            "a retry's delay can't be set, so the message is redelivered after the queue's visibility timeout: %s; the "
            "function's role needs sqs:ChangeMessageVisibility on %s",
            exc, arn,
        )  # fmt: skip
