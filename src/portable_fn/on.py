"""Triggers: what calls a function, as plain data."""

from __future__ import annotations

from portable_fn.errors import ConfigurationError
from portable_fn.events import (
    CHANGE_ACTIONS,
    OBJECT_ACTIONS,
    ChangeEvent,
    CloudEvent,
    Event,
    Message,
    ObjectEvent,
    ScheduleEvent,
    Task,
)
from portable_fn.http import MAX_BODY, Request
from portable_fn.pairs import is_token
from portable_fn.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from portable_fn.events import ChangeAction, ObjectAction

    # The name of a source or a destination.
    Name: TypeAlias = "str | Setting"

__all__ = [
    "METHODS",
    "ChangeTrigger",
    "EventTrigger",
    "HTTPTrigger",
    "MessageTrigger",
    "ObjectTrigger",
    "RetryPolicy",
    "ScheduleTrigger",
    "TaskTrigger",
    "Trigger",
    "change",
    "env",
    "event",
    "http",
    "mistyped_method",
    "object",
    "queue",
    "schedule",
    "stream",
    "task",
    "topic",
]


class Setting(Record):
    """A name that the environment has, since stages and tools such as CDK generate names: `env("ORDERS_QUEUE")`."""

    _fields = ("variable", "default")

    def __init__(self, variable: str, default: str | None) -> None:
        self.variable = variable
        self.default = default

    def __hash__(self) -> int:  # type: ignore[override]  # other records may hold what has no hash
        return hash((self.variable, self.default))

    def __repr__(self) -> str:
        return f"env({self.variable!r})" if self.default is None else f"env({self.variable!r}, {self.default!r})"

    def read(self, variables: Mapping[str, Any]) -> str:
        """Return the variable's value, or the default.

        Raises:
            ConfigurationError: There is neither, or the value isn't a str.
        """
        value = variables.get(self.variable) or self.default
        if not isinstance(value, str):
            what = "is not set" if value is None else f"is a {type(value).__name__}, not a text"
            raise ConfigurationError(f"{self.variable} {what}: a trigger takes a name from it, {self!r}")
        return value


def env(variable: str, default: str | None = None) -> Setting:
    """Name a queue, topic, bucket, table, bus or dead-letter destination by an environment variable.

    `on.queue(env("ORDERS_QUEUE"))`. The entry reads it when it is built, on Cloudflare at the first call. In tests, `deliver` uses
    the variable's name as its value if it isn't set and has no default.

    Raises:
        ConfigurationError: A name is empty. The entry raises it if the variable isn't set and has no default.
    """
    if not isinstance(variable, str) or not variable or not (default is None or (isinstance(default, str) and default)):
        raise ConfigurationError(f"env takes the name of a variable, and a default, not {variable!r} and {default!r}")
    return Setting(variable, default)


# https://www.iana.org/assignments/http-methods, and PURGE, SUBSCRIBE and UNSUBSCRIBE, which are in use.
METHODS = frozenset(
    (
        "ANY", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "PURGE", "ACL",
        "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY",
        "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PRI", "PROPFIND", "PROPPATCH", "REBIND",
        "REPORT", "SEARCH", "SUBSCRIBE", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UNSUBSCRIBE", "UPDATE",
        "UPDATEREDIRECTREF", "VERSION-CONTROL",
    )
)  # fmt: skip


class Trigger(Record):
    """What calls a function. `kind` is the event class that it delivers, `word` its name in `on`.

    - `name` is the queue, topic, stream, bucket, table, job or task that sends the events; "" for any.
    - `via` is the queue, topic or stream whose messages hold the events; "" if none is named.
    - `dead_letter` is where a rejected event is sent; None if the provider does it.
    """

    kind: type[Event[Any]]
    word = ""
    name = ""
    via = ""
    dead_letter: str | None = None

    @property
    def settings(self) -> dict[str, Setting]:
        """The fields that must still be read from the environment, by name."""
        return {name: value for name in self._fields if type(value := getattr(self, name)) is Setting}

    def resolved(self, variables: Mapping[str, Any]) -> Trigger:
        """Return the trigger with its settings read; itself if it has none.

        Raises:
            ConfigurationError: A setting has no value.
        """
        if not (settings := self.settings):
            return self
        # Like copy.copy, without its import.
        trigger = type(self).__new__(type(self))
        trigger.__dict__.update(self.__dict__, **{name: setting.read(variables) for name, setting in settings.items()})
        return trigger

    def names(self, event: Any) -> bool:
        """Return whether the trigger names the source of the event, or of an envelope of its kind."""
        if not self.name:
            return True
        return any(self.name == _name(source) for source in (event, *event.envelopes) if isinstance(source, self.kind))

    @property
    def channels(self) -> tuple[str, ...]:
        """The queues, topics and streams that the trigger names, for their messages or for the events inside these."""
        return (self.via,) if self.via else ()

    def is_via(self, event: Any) -> bool:
        """Return whether `via` names the source of the event or of one of its envelopes."""
        return bool(self.via) and any(
            self.via == getattr(source, "channel", None) for source in (event, *event.envelopes)
        )

    def wants(self, event: Any) -> bool:
        """Return whether the trigger is for this event. An event that no trigger wants is acknowledged without a call."""
        return True

    @property
    def wants_all(self) -> bool:
        """Whether the trigger is for every event of its kind."""
        return True


def _name(event: Any) -> Any:
    """Return the name of an event's source, as triggers use it."""
    for attribute in ("channel", "bucket", "table", "name"):
        if (name := getattr(event, attribute, None)) is not None:
            return name
    return None


class MessageTrigger(Trigger):
    """Messages of a queue, topic or stream."""

    kind = Message
    _fields = ("word", "name", "dead_letter", "retry", "via")

    def __init__(self, word: str, name: str, dead_letter: str | None, retry: RetryPolicy | None, via: str = "") -> None:
        self.word = word
        self.name = name
        self.dead_letter = dead_letter
        self.retry = retry
        self.via = via

    @property
    def channels(self) -> tuple[str, ...]:
        """The queue, topic or stream, and the channel of `via`."""
        return (self.name, self.via) if self.via else (self.name,)


class RetryPolicy(Record):
    """How often an event is retried, and after how many seconds: first `delay`, doubled up to `max_delay`.

    The provider gets it if code can declare it: on Azure's Event Hubs, Kafka, Cosmos DB and timers.
    """

    _fields = ("attempts", "delay", "max_delay")

    def __init__(self, attempts: int = 5, delay: float = 5, max_delay: float | None = None) -> None:
        if type(attempts) is not int or attempts < -1 or attempts == 0:
            raise ConfigurationError(
                f"RetryPolicy's attempts must be a number of retries, -1 for ever, not {attempts!r}"
            )
        if delay <= 0 or (max_delay is not None and max_delay < delay):
            raise ConfigurationError("RetryPolicy's delay must be a number of seconds above 0 and at most max_delay")
        self.attempts = attempts
        self.delay = delay
        self.max_delay = max_delay


class ObjectTrigger(Trigger):
    """Objects of a bucket."""

    kind = ObjectEvent
    word = "object"
    _fields = ("name", "actions", "prefix", "suffix", "dead_letter", "via")

    def __init__(
        self,
        name: str,
        actions: tuple[str, ...],
        prefix: str,
        suffix: str,
        dead_letter: str | None,
        via: str = "",
    ) -> None:
        self.name = name
        self.actions = actions
        self.prefix = prefix
        self.suffix = suffix
        self.dead_letter = dead_letter
        self.via = via

    def wants(self, event: Any) -> bool:
        """Return whether the trigger is for this event."""
        return (
            event.action in (self.actions or OBJECT_ACTIONS)
            and event.key.startswith(self.prefix)
            and event.key.endswith(self.suffix)
        )

    @property
    def wants_all(self) -> bool:
        """Whether the trigger is for every event of its kind."""
        return not (self.actions or self.prefix or self.suffix)


class ChangeTrigger(Trigger):
    """Rows of a table, or documents of a collection."""

    kind = ChangeEvent
    word = "change"
    _fields = ("name", "actions", "dead_letter", "retry", "via")

    def __init__(
        self,
        name: str,
        actions: tuple[str, ...],
        dead_letter: str | None,
        retry: RetryPolicy | None,
        via: str = "",
    ) -> None:
        self.name = name
        self.actions = actions
        self.dead_letter = dead_letter
        self.retry = retry
        self.via = via

    def wants(self, event: Any) -> bool:
        """Return whether the trigger is for this event."""
        return event.action in (self.actions or CHANGE_ACTIONS)

    @property
    def wants_all(self) -> bool:
        """Whether the trigger is for every event of its kind."""
        return not self.actions


class ScheduleTrigger(Trigger):
    """A schedule."""

    kind = ScheduleEvent
    word = "schedule"
    _fields = ("cron", "timezone", "name", "retry", "via")

    def __init__(self, cron: str, timezone: str, name: str, retry: RetryPolicy | None, via: str = "") -> None:
        self.cron = cron
        self.timezone = timezone
        self.name = name
        self.retry = retry
        self.via = via

    def names(self, event: Any) -> bool:
        """Return whether the trigger names the event's source."""
        if not isinstance(event, ScheduleEvent):
            return False
        return bool(self.name and self.name == event.name) or bool(event.cron and event.cron == self.cron)


class EventTrigger(Trigger):
    """CloudEvents of some types and a source."""

    kind = CloudEvent
    word = "event"
    _fields = ("types", "source", "dead_letter", "via")

    def __init__(self, types: tuple[str, ...], source: str, dead_letter: str | None, via: str = "") -> None:
        self.types = types
        self.source = source
        self.dead_letter = dead_letter
        self.via = via

    def names(self, event: Any) -> bool:
        """Return whether the trigger names the event's source."""
        return True

    def wants(self, event: Any) -> bool:
        """Return whether the trigger is for this event."""
        return (not self.types or event.type in self.types) and self.source in ("", event.source)

    @property
    def wants_all(self) -> bool:
        """Whether the trigger is for every event of its kind."""
        return not (self.types or self.source)


class TaskTrigger(Trigger):
    """Direct calls of a name."""

    kind = Task
    word = "task"
    _fields = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class HTTPTrigger(Trigger):
    """HTTP requests with one of the methods, or any if there are none, on the paths of a template."""

    kind = Request
    word = "http"
    _fields = ("methods", "path", "max_body")

    def __init__(self, methods: tuple[str, ...], path: str, max_body: int) -> None:
        self.methods = methods
        self.path = path
        self.max_body = max_body
        # (literal, "") or ("", name). A last "{name+}" takes all remaining segments.
        self.segments = tuple(_segment(path, segment) for segment in path.split("/")[1:])
        self.parameters = tuple(name.rstrip("+") for _, name in self.segments if name)
        if len(set(self.parameters)) < len(self.parameters):
            raise ConfigurationError(f"the path {path!r} names a parameter twice")
        if any(name.endswith("+") for _, name in self.segments[:-1]):
            raise ConfigurationError(f"the path {path!r} has a greedy parameter before its end")


def http(method: str | Iterable[str] = "ANY", path: str = "/{path+}", *, max_body: int = MAX_BODY) -> HTTPTrigger:
    """Trigger on HTTP requests.

    Args:
        method: A method, several, or "ANY". GET answers HEAD, too.
        path: A template. `{name}` takes one segment, a last `{name+}` all remaining ones, even none.
        max_body: The most bytes of a body. A larger one is answered with 413.

    Raises:
        ConfigurationError: A method or the path is malformed.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise ConfigurationError(f"the path {path!r} doesn't start with '/': on.http(method, path)")
    if type(max_body) is not int or max_body < 0:
        raise ConfigurationError(f"max_body must be a whole number of bytes, not {max_body!r}")
    try:
        methods = tuple(name.upper() for name in ([method] if isinstance(method, str) else method))
    except (TypeError, AttributeError) as exc:
        raise ConfigurationError(f"{method!r} is not an HTTP method: on.http(method, path)") from exc
    if not methods:
        raise ConfigurationError("on.http needs a method, or 'ANY'")
    for name in methods:
        if not is_token(name) or name == "*":
            raise ConfigurationError(f"{name!r} is not an HTTP method; 'ANY' is all of them: on.http(method, path)")
        if name not in METHODS and (meant := mistyped_method(name)):
            raise ConfigurationError(f"{name!r} is not an HTTP method: is it {meant!r}?")
    return HTTPTrigger(() if "ANY" in methods else methods, path, max_body)


def mistyped_method(name: str) -> str:
    """Return the method that a misspelt one means, GET for "GTE"; "" if it may be a custom method."""
    known = [method for method in METHODS if sorted(method) == sorted(name)]
    if not known:
        from difflib import get_close_matches

        known = get_close_matches(name, METHODS, 1, 0.85)
    return known[0] if known else ""


def queue(name: Name, *, dead_letter: Name | None = None, retry: RetryPolicy | None = None) -> MessageTrigger:
    """Trigger on messages of a queue: SQS, Amazon MQ, Pub/Sub, Cloud Tasks, Azure's queues, Cloudflare Queues.

    Args:
        name: The queue's name. If the entry has only one function for messages, it gets them whatever the queue is called.
        dead_letter: Where a rejected message is sent, by the provider's name for it, if the queue itself can't do it.
        retry: The retry policy.
    """
    return MessageTrigger("queue", _named("queue", name), _dead_letter(dead_letter), _retry(retry))


def topic(
    name: Name, *, dead_letter: Name | None = None, retry: RetryPolicy | None = None, via: Name = ""
) -> MessageTrigger:
    """Trigger on messages published to a topic: SNS, also through SQS, Pub/Sub, a Service Bus topic, Dapr's pub/sub.

    `via` names the queue that delivers the topic's messages.
    """
    return MessageTrigger("topic", _named("topic", name), _dead_letter(dead_letter), _retry(retry), _via("topic", via))


def stream(name: Name, *, dead_letter: Name | None = None, retry: RetryPolicy | None = None) -> MessageTrigger:
    """Trigger on messages of a stream, in order within a partition: Kinesis, Kafka, Event Hubs, Pub/Sub with ordering keys."""
    return MessageTrigger("stream", _named("stream", name), _dead_letter(dead_letter), _retry(retry))


def object(
    bucket: Name,
    *actions: ObjectAction,
    prefix: str = "",
    suffix: str = "",
    dead_letter: Name | None = None,
    via: Name = "",
) -> ObjectTrigger:
    """Trigger on objects of a bucket or container that were created, deleted, archived or changed; without actions, on all.

    `via` names the queue, topic or stream whose messages hold the bucket's notifications.
    """
    _known("on.object", actions, OBJECT_ACTIONS)
    return ObjectTrigger(
        _named("object", bucket), actions, prefix, suffix, _dead_letter(dead_letter), _via("object", via)
    )


def change(
    table: Name,
    *actions: ChangeAction,
    dead_letter: Name | None = None,
    retry: RetryPolicy | None = None,
    via: Name = "",
) -> ChangeTrigger:
    """Trigger on rows of a table, or documents of a collection, that were inserted, updated or removed; without actions, on all.

    `via` names the queue, topic or stream whose messages hold the changes.
    """
    _known("on.change", actions, CHANGE_ACTIONS)
    return ChangeTrigger(
        _named("change", table), actions, _dead_letter(dead_letter), _retry(retry), _via("change", via)
    )


def schedule(
    cron: str, *, timezone: str = "UTC", name: Name = "", retry: RetryPolicy | None = None, via: Name = ""
) -> ScheduleTrigger:
    """Trigger at the times of a cron expression with five fields: minute, hour, day of month, month, day of week.

    Args:
        cron: The expression.
        timezone: The time zone of the expression.
        name: The rule's, job's or timer's name. It tells schedules apart if the provider doesn't send the expression.
        retry: The retry policy.
        via: The queue, topic or stream whose messages announce the times.
    """
    if not isinstance(cron, str) or len(cron.split()) != 5:
        raise ConfigurationError(
            f"on.schedule takes a cron expression of five fields such as '0 3 * * *', not {cron!r}"
        )
    return ScheduleTrigger(" ".join(cron.split()), timezone, _text(name), _retry(retry), _via("schedule", via))


def event(*types: str, source: Name = "", dead_letter: Name | None = None, via: Name = "") -> EventTrigger:
    """Trigger on events of a bus: of any of the types, or of all without types, and of that source, if there is one.

    `via` names the queue, topic or stream whose messages hold the events.
    """
    if not all(isinstance(type_, str) and type_ for type_ in types):
        raise ConfigurationError(f"on.event takes types such as 'order.created', not {types!r}")
    return EventTrigger(types, _text(source), _dead_letter(dead_letter), _via("event", via))


def task(name: str = "") -> TaskTrigger:
    """Trigger on direct calls: Lambda's invoke, Step Functions, Workflows, Durable activities, RPC.

    `name` is the handler's by default.
    """
    return TaskTrigger(name)


# Type checkers see str in a trigger's fields, since the entry replaces the settings before anybody reads them.


def _text(name: Name) -> str:
    return name  # type: ignore[return-value]  # see above


def _named(word: str, name: Name) -> str:
    if type(name) is not Setting and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"on.{word} takes a name, not {name!r}: on.{word}('orders')")
    return _text(name)


def _dead_letter(name: Name | None) -> str | None:
    if name is None:
        return None
    if type(name) is not Setting and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"dead_letter must be the name of a queue or topic, not {name!r}")
    return _text(name)


def _via(word: str, name: Name) -> str:
    if type(name) is not Setting and not isinstance(name, str):
        raise ConfigurationError(f"via of on.{word} must be the name of a queue, topic or stream, not {name!r}")
    return _text(name)


def _retry(policy: RetryPolicy | None) -> RetryPolicy | None:
    if policy is not None and not isinstance(policy, RetryPolicy):
        raise ConfigurationError(f"retry must be an on.RetryPolicy(attempts=5, delay=5), not {policy!r}")
    return policy


def _known(word: str, actions: tuple[str, ...], possible: tuple[str, ...]) -> None:
    for action in actions:
        if action not in possible:
            raise ConfigurationError(f"{word} has no action {action!r}; possible are {', '.join(possible)}")


def _segment(path: str, segment: str) -> tuple[str, str]:
    if "{" not in segment and "}" not in segment:
        if segment[:1] == ":" or any(char in "<>* " for char in segment):
            raise ConfigurationError(
                f"in the path {path!r}, {segment!r} isn't plain text; a parameter is {{name}}, a rest {{name+}}"
            )
        return segment, ""
    name = segment[1:-1]
    if segment[0] != "{" or segment[-1] != "}" or not name.removesuffix("+").isidentifier():
        raise ConfigurationError(f"in the path {path!r}, {segment!r} is neither plain text nor {{name}} nor {{name+}}")
    return "", name


# What users of one provider look for, and its name here.
_ELSEWHERE = {
    "queue": ("sqs", "rabbitmq", "activemq", "storage_queue", "service_bus", "servicebus", "cloud_tasks"),
    "topic": ("sns", "pubsub", "message"),
    "stream": ("kinesis", "kafka", "event_hub", "event_hubs", "eventhub"),
    "object": ("s3", "gcs", "blob", "bucket", "storage", "r2", "file", "upload"),
    "change": ("dynamodb", "firestore", "cosmos", "cosmos_db", "table", "database", "row"),
    "schedule": ("cron", "timer", "rate", "every", "scheduled"),
    "event": ("eventbridge", "eventarc", "event_grid", "bus", "cloud_event", "cloudevent"),
    "task": ("invoke", "call", "activity", "rpc"),
    "http": ("get", "post", "put", "patch", "delete", "route", "request", "api", "rest", "url"),
}


if not TYPE_CHECKING:
    # Hidden from type checkers, which would accept any name.

    def __getattr__(name: str) -> Any:
        meant = next((word for word, others in _ELSEWHERE.items() if name.lower() in others), None)
        if meant is None and not name.startswith("_"):
            from portable_fn.providers import nearest

            hint = nearest(name, _ELSEWHERE)
        else:
            example = f'on.http("{name.upper()}", …)' if name.upper() in METHODS else f"on.{meant}(…)"
            hint = f": it is {example} here" if meant else ""
        raise AttributeError(f"on has no {name!r}{hint}")
