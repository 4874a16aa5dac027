"""The road of everything that is no request: decode, the functions, encode."""

from __future__ import annotations

import os

from portable_fn.adapter.batch import Consumer
from portable_fn.adapter.dispatch import Dispatcher
from portable_fn.errors import ConfigurationError
from portable_fn.events import Event, Message, ObjectEvent, ScheduleEvent, Task
from portable_fn.outcomes import DONE, Done, Reject, Retry
from portable_fn_aws.events import decode as decode_events
from portable_fn_aws.events import encode as encode_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context as Variables
    from typing import Any

    from portable_fn.outcomes import Outcome
    from portable_fn_aws.decode import AWSContext
    from portable_fn_aws.events.decode import IncomingEvents, Item

    Run = Callable[[Any, Variables], Any]

# Sources of which some can fail and the others not, where the mapping says so.
_REPORTED = ("sqs", "kinesis", "dynamodb", "kafka")


class EventRouter:
    """What an entry's functions make of events; raises ConfigurationError where PORTABLE_FN_AWS_BATCH is no word that is known.

    PORTABLE_FN_AWS_BATCH says what happens if a part of a batch fails:

    - "report", the default, answers batchItemFailures, and raises if all of the batch failed. An event source mapping without
      ReportBatchItemFailures loses what is reported.
    - "report-always" reports even then: for mappings that are known to have ReportBatchItemFailures.
    - "raise" fails the whole batch.
    """

    def __init__(self, dispatcher: Dispatcher, run: Run) -> None:
        self._run = run
        mode = os.environ.get("PORTABLE_FN_AWS_BATCH") or "report"
        if mode not in ("report", "report-always", "raise"):
            raise ConfigurationError(f"PORTABLE_FN_AWS_BATCH is report, report-always or raise, not {mode!r}")
        self._report = mode != "raise"
        self._always = mode == "report-always"
        self._dispatcher = dispatcher
        self._consumers: dict[Callable[[Any], object] | None, Consumer] = {
            key: Consumer(self._dispatcher, key=key, dead_letter=self._settle)
            for key in (None, decode_events.group, decode_events.shard, decode_events.topic_partition)
        }
        takes = self._dispatcher.takes
        # Nothing tells the input of a schedule from a direct call's but what the functions are for.
        self._is_schedule = takes(ScheduleEvent) and not takes(Task) and not takes(Event)
        kinds = {function.kind for function in dispatcher.functions}
        self._takes_task = takes(Task)
        self._takes_tasks_alone = kinds == {Task}
        # Whose events may be mere notices, which are done where no function asks for just anything of that source's.
        self._noticed = {
            *(("sqs", "sns") if takes(ObjectEvent) or not kinds & {Event, Message} else ()),
            *(("docdb",) if Event not in kinds else ()),
        }
        self._context: AWSContext | None = None
        # Whoever says that all is to be reported knows the mapping.
        self._warned = self._always

    def __call__(self, payload: Any, context: AWSContext, variables: Variables) -> Any:
        """The answer to a payload; raises what the source is to see as the invocation's failure."""
        found = None if self._takes_tasks_alone else decode_events.arrival(payload, context)
        # Step Functions hands on what has started it, such as an event of a bus.
        if found is None or (
            self._takes_task and found.service == "eventbridge" and not self._is_taken(found.items[0])
        ):
            found = decode_events.called(payload, context)
        service = found.service
        if service == "invoke" and self._is_schedule:
            found.items = [decode_events.scheduled(payload, context)]
        self._context = context
        context.raises_errors = len(found.items) == 1 and not (self._always and service in _REPORTED)
        if service in self._noticed:
            outcomes = self._without_notices(found, context, variables)
        else:
            outcomes = self._outcomes(found, found.items, context, variables)
        if service != "invoke":
            if not [True for outcome in outcomes if outcome is not DONE]:
                return encode_events.success(found)
            if any(isinstance(outcome, Retry) for outcome in outcomes):
                self._on_failure(found, outcomes, context)
        return encode_events.answer(found, outcomes, report=self._report, always=self._always)

    def _is_taken(self, item: Item) -> bool:
        """Whether any function takes the event, or would if it could be read."""
        return self._dispatcher.takes_event(item)

    def _outcomes(
        self, found: IncomingEvents, items: Sequence[Item], context: AWSContext, variables: Variables
    ) -> list[Outcome]:
        outcomes: Any = self._consumers[found.key].handle(items, context, window=found.window, state=found.state)
        if type(outcomes) is not list:
            try:
                outcomes = self._run(outcomes, variables)
            except Exception:
                raise
            except BaseException as exc:
                # Of a handler that cancels every task there is; awslambdaric's process ends by what is no Exception.
                raise encode_events.told(exc) from exc
        if found.places is not None:
            from portable_fn_aws.events.packed import merged

            found.results = [outcome.result if isinstance(outcome, Done) else None for outcome in outcomes]
            outcomes = merged(outcomes, found.places, len(found.records))
        return outcomes  # type: ignore[no-any-return]  # a list of outcomes

    def _without_notices(self, found: IncomingEvents, context: AWSContext, variables: Variables) -> list[Outcome]:
        """The outcomes where what only tells how the source fares is done without a call."""
        quiet = [self._is_quiet(item) for item in found.items]
        items = [item for item, is_quiet in zip(found.items, quiet, strict=True) if not is_quiet]
        handled = iter(self._outcomes(found, items, context, variables))
        return [DONE if is_quiet else next(handled) for is_quiet in quiet]

    def _is_quiet(self, item: Item) -> bool:
        # What a function takes as a message is one, whatever its text looks like.
        return isinstance(item, Event) and not self._dispatcher.takes_message(item) and decode_events.is_notice(item)

    def _on_failure(self, found: IncomingEvents, outcomes: Sequence[Outcome], context: AWSContext) -> None:
        if found.service == "sqs" and not found.pipe:
            _delay(found, outcomes, context)
        failed = sum(type(outcome) is Retry for outcome in outcomes)
        if self._report and not self._warned and found.service in _REPORTED and failed < len(outcomes):
            self._warned = True
            context.log.warning(
                "%d of %d %s records are reported as failed: without FunctionResponseTypes=[ReportBatchItemFailures] on the "
                "event source mapping they are lost; PORTABLE_FN_AWS_BATCH=raise fails whole batches instead",
                failed, len(outcomes), found.service,
            )  # fmt: skip

    def _settle(self, event: Event[Any], reject: Reject, dead_letter: str, seconds: float | None) -> bool:
        from portable_fn_aws.drivers import queue as sqs

        owner = "" if self._context is None else self._context.arn
        sqs.dead_letter(event, reject, dead_letter, owner, seconds)
        return True


def _delay(found: IncomingEvents, outcomes: Sequence[Outcome], context: AWSContext) -> None:
    """Has SQS wait with the messages whose handler asked for it; where it refuses, they come when the queue has them come."""
    delays = []
    arn = ""
    for record, outcome in zip(found.records, outcomes, strict=True):
        if isinstance(outcome, Retry) and outcome.after is not None and isinstance(record.get("receiptHandle"), str):
            delays.append((record["receiptHandle"], outcome.after))
            arn = record["eventSourceARN"]
    if not delays:
        return
    from portable_fn_aws.drivers import api
    from portable_fn_aws.drivers import queue as sqs

    # The answer must still be on time.
    remaining = context.remaining()
    try:
        sqs.delay(arn, delays, 3600.0 if remaining is None else max(remaining / 2, 0.01))
    except api.SQSError as exc:
        context.log.warning(
            "a retry's delay can't be set, so the message comes after the queue's visibility timeout: %s; the function's role "
            "needs sqs:ChangeMessageVisibility on %s",
            exc, arn,
        )  # fmt: skip
