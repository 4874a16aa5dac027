"""Durable Functions: orchestrations of the real SDK in the real worker, with the extension that keeps their history played."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.runtimes.azure import AzureHost
from tests.runtimes.environments import vendored

# Of DurableTask.Core's History.EventType, and of Microsoft.Azure.WebJobs.Extensions.DurableTask's AsyncActionType.
_EXECUTION_STARTED: Final = 0
_TASK_SCHEDULED, _TASK_COMPLETED, _TASK_FAILED = 4, 5, 6
_TIMER_CREATED, _TIMER_FIRED = 10, 11
_ROUND_STARTED, _ROUND_ENDED = 12, 13
_CALL_ACTIVITY, _CREATE_TIMER = 0, 5


def sdk() -> Path:
    """A folder to import azure.durable_functions from, beside what the worker has."""
    return vendored("azure-durable")


def orchestrate(host: AzureHost, name: str, given: object, *, rounds: int = 20) -> tuple[Any, int]:
    """Runs an orchestration to its end: its output, and how often an activity was called. Timers are over at once.

    Raise RuntimeError with the message if it fails. The shapes are those of the extension's schema 3.
    """
    started = _event(_EXECUTION_STARTED, Name=name, Version="", Input=json.dumps(given))
    history, calls = [_event(_ROUND_STARTED), started], 0
    done = 0
    for _ in range(rounds):
        context = {"history": history, "input": json.dumps(given), "instanceId": "instance", "parentInstanceId": None}
        answered = host.invoke(
            name, {"context": json.dumps({**context, "isReplaying": False, "upperSchemaVersion": 2})}
        )
        if answered.error is not None:
            raise RuntimeError(answered.error)
        if answered.returned["isDone"]:
            return answered.returned["output"], calls
        actions = [action for each in answered.returned["actions"] for action in each]
        scheduled, ended = [], []
        for number, action in enumerate(actions[done:], done):
            if action["actionType"] == _CALL_ACTIVITY:
                calls += 1
                scheduled.append(
                    _event(_TASK_SCHEDULED, EventId=number, Name=action["functionName"], Input=action["input"])
                )
                ended.append({**_activity(host, action), "TaskScheduledId": number})
            elif action["actionType"] == _CREATE_TIMER:
                scheduled.append(_event(_TIMER_CREATED, EventId=number, FireAt=action["fireAt"]))
                ended.append(_event(_TIMER_FIRED, TimerId=number, FireAt=action["fireAt"]))
            else:
                raise NotImplementedError(f"an action of type {action['actionType']}")
        done = len(actions)
        history += [*scheduled, _event(_ROUND_ENDED), _event(_ROUND_STARTED), *ended]
    raise RuntimeError(f"{name} isn't done after {rounds} rounds")


def _activity(host: AzureHost, action: dict[str, Any]) -> dict[str, Any]:
    name = action["functionName"]
    metadata = {"instanceId": "instance", "sys": {"MethodName": name, "UtcNow": _now(), "RandGuid": ""}}
    answered = host.invoke(name, {"event": action["input"]}, metadata=metadata)
    if answered.error is None:
        return _event(_TASK_COMPLETED, Result=json.dumps(answered.returned))
    # Source: azure-functions-durable-extension, TaskActivityShim.
    return _event(_TASK_FAILED, Reason=f"Activity function '{name}' failed: {answered.error}", Details="")


def _event(kind: int, **fields: object) -> dict[str, Any]:
    return {"EventType": kind, "EventId": -1, "IsPlayed": False, "Timestamp": _now(), **fields}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
