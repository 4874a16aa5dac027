"""Register an Azure function for each trigger, with its service, settings and schedule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portable_fn import (
    ConfigurationError,
    Event,
    Message,
    ObjectEvent,
    on,
    portable,
)
from portable_fn_azure import entry
from portable_fn_azure.events.cron import ncrontab
from portable_fn_azure.events.function import DeadLetterQueue
from portable_fn_azure.events.register import Settings, plan
from tests.azure.event_handlers import changed, double, happened, message, stored, wired


def test_an_app_without_http_logs_nothing_about_access_keys(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("orders"))
    def queued(event: Message) -> None: ...

    assert ["queued"] == [function.get_function_name() for function in entry(queued).get_functions()]
    assert [] == [text for text in caplog.messages if "Auth level" in text]


def test_each_trigger_becomes_an_azure_function_with_the_functions_name() -> None:
    @portable(on.http("GET", "/hello"), on.queue("orders"), on.schedule("*/5 * * * *"))
    def mixed(event: Event) -> None: ...

    bindings = wired(mixed, stored, happened, double)
    types = {name: binding["type"] for name, binding in bindings.items()}
    assert {
        "http": "httpTrigger",
        "mixed": "queueTrigger",
        "mixed-2": "timerTrigger",
        "stored": "blobTrigger",
        "happened": "eventGridTrigger",
        "double": "activityTrigger",
    } == types
    assert "0 */5 * * * *" == bindings["mixed-2"]["schedule"]
    assert "uploads/{name}" == bindings["stored"]["path"]


def test_services_connections_and_options_are_found_by_name() -> None:
    bindings = wired(
        message,
        changed,
        services={"queue": "service_bus_queue", "stream": "kafka", "changed": "sql"},
        connections={"kafka": "Brokers", "users": "UsersDatabase"},
        options={"orders": {"cardinality": "many"}} | {"users": {"leasesTableName": "leases"}},
    )
    assert ("serviceBusTrigger", "orders", "MANY", "ServiceBusConnection") == tuple(
        bindings["message"][name] for name in ("type", "queueName", "cardinality", "connection")
    )
    assert "message" == bindings["message-2"]["subscriptionName"]
    assert ("%Brokers%", "message-3") == (bindings["message-3"]["brokerList"], bindings["message-3"]["consumerGroup"])
    assert ("sqlTrigger", "UsersDatabase", "leases") == tuple(
        bindings["changed"][name] for name in ("type", "connectionStringSetting", "leasesTableName")
    )


def test_bodies_are_bound_as_bytes() -> None:
    bindings = wired(message, stored)
    assert {"BINARY"} == {binding["dataType"] for binding in bindings.values()}


def test_an_object_trigger_for_more_than_created_objects_uses_event_grid() -> None:
    @portable(on.object("uploads", "created", "deleted"))
    def both(event: ObjectEvent) -> None: ...

    assert "eventGridTrigger" == wired(both)["both"]["type"]


def test_events_that_azure_would_lose_are_retried_until_they_succeed_unless_a_policy_differs() -> None:
    @portable(on.stream("a"), on.stream("b", retry=on.RetryPolicy(3, 10, 10)))
    def read(event: Message) -> None: ...

    bindings = wired(read)
    assert {
        "strategy": "exponential_backoff",
        "max_retry_count": "-1",
        "minimum_interval": "00:00:05",
        "maximum_interval": "00:05:00",
    } == bindings["read"]["retry"]
    assert {"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:10"} == bindings["read-2"][
        "retry"
    ]


def test_the_dead_letter_queue_has_the_triggers_kind_and_connection() -> None:
    @portable(on.queue("a", dead_letter="bad"), on.topic("b", dead_letter="bad"), on.stream("c", dead_letter="bad"))
    def read(event: Message) -> None: ...

    def dead_letters(**settings: Any) -> list[Any]:
        functions = plan([read.__portable__], set(), Settings(**settings))  # type: ignore[attr-defined]
        return [function.dead_letter for function in functions]

    assert [
        DeadLetterQueue("storage_queue", "bad", "Mine"),
        DeadLetterQueue("service_bus_queue", "bad", "Mine"),
        DeadLetterQueue("storage_queue", "bad", "AzureWebJobsStorage"),
    ] == dead_letters(connections={"read": "Mine"})
    assert [DeadLetterQueue("service_bus_queue", "bad", "Dead")] * 3 == dead_letters(
        services={"bad": "service_bus_queue"}, connections={"bad": "Dead"}
    )
    # The function has no binding for them.
    assert {"event"} == {
        binding["name"]
        for function in entry(read).get_functions()
        for binding in json.loads(function.get_function_json())["bindings"]
    }


@pytest.mark.parametrize(
    ("trigger", "arguments", "warning"),
    [
        (on.stream("s"), {}, "blocks the others of event_hubs"),
        (on.stream("s", retry=on.RetryPolicy(2)), {}, "loses events that fail 3 times"),
        (on.queue("q", retry=on.RetryPolicy(2)), {}, "takes no retry policy from code"),
        (on.object("uploads"), {}, "sends only created objects"),
        (on.schedule("0 3 * * *", timezone="Europe/Rome"), {}, "set WEBSITE_TIME_ZONE to 'Europe/Rome'"),
        (on.change("shop/users"), {}, "no removed rows"),
        (on.change("shop/users", "inserted"), {}, "inserted rows as updated"),
        (on.change("users"), {"services": {"users": "sql"}}, "gives up rows that fail 5 times"),
    ],
)
def test_registration_warns_about_surprises(
    trigger: Any, arguments: dict[str, Any], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    @portable(trigger)
    def function(event: Event) -> None: ...

    entry(function, **arguments)
    import re

    assert [] != [text for text in caplog.messages if text.startswith("function: ") and re.search(warning, text)]


def test_registration_without_surprises_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    @portable(on.queue("q"), on.object("uploads", "created"), on.schedule("0 3 * * *"), on.event(), on.task("t"))
    def function(event: Event) -> None: ...

    @portable(on.stream("s", dead_letter="bad"))
    def stream(event: Message) -> None: ...

    entry(function, stream)
    assert [] == [record.message for record in caplog.records if record.name == "portable_fn"]


def both(trigger: Any) -> list[Any]:
    def first(event: Message) -> None: ...
    def second(event: Message) -> None: ...

    return [portable(trigger)(first), portable(trigger)(second)]


def bare(event: Message) -> None: ...


@pytest.mark.parametrize(
    ("targets", "arguments", "error"),
    [
        ([portable(bare)], {}, r"bare takes Message, but has no trigger.*on\.queue\('orders'\)"),
        (both(on.queue("q")), {}, "first and second both read 'q', and Azure gives each event to only one"),
        (both(on.stream("s")), {}, "first and second both read 's'"),
        ([changed], {}, "names no database"),
        ([message], {"services": {"oders": "kafka"}}, "services has 'oders', but no function or trigger has that name"),
        ([message], {"options": {"oders": {}}}, "options has 'oders'"),
        (
            [message],
            {"services": {"queue": "kafka"}},
            "can't be Azure's 'kafka'; use one of storage_queue, service_bus_queue",
        ),
        ([message], {"settlement": True}, "needs the package azurefunctions-extensions-bindings-servicebus"),
    ],
)
def test_functions_that_azure_cannot_have_are_refused(
    targets: list[Any], arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(ConfigurationError, match=error):
        entry(*targets, **arguments)


def test_each_function_of_a_topic_has_its_own_subscription() -> None:
    bindings = wired(*both(on.topic("t")))
    assert ["first", "second"] == [binding["subscriptionName"] for binding in bindings.values()]


@pytest.mark.parametrize(
    ("cron", "azures"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("*/5 * * * 7", "0 */5 * * * 0"),
        ("0 0 * * 5-7", "0 0 0 * * 5,6,0"),
        ("0 0 * * mon-fri", "0 0 0 * * mon-fri"),
        ("0 0 1,15 * ?", "0 0 0 1,15 * *"),
        ("10-20/5,30 0 1 jan,MAR *", "0 10-20/5,30 0 1 jan,MAR *"),
    ],
)
def test_a_cron_expression_gets_seconds_and_keeps_its_meaning(cron: str, azures: str) -> None:
    assert azures == ncrontab(cron)


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 1 * 1", "0 0 * * 1-7/2", "0 22-4 * * *", "0 0 * * fri-sun", "0 0 L * *", "0 0 * * mon#2", "60 0 * * *", "*/0 0 * * *",
        "0 0 0 * *", "a b c d e", "1-2-3 0 * * *", "? 0 * * *", "0,,1 0 * * *",
    ],
)  # fmt: skip
def test_a_cron_expression_with_another_meaning_on_azure_is_refused(cron: str) -> None:
    with pytest.raises(ConfigurationError):
        ncrontab(cron)
