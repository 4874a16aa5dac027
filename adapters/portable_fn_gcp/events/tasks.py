"""Decode direct calls and schedules: Workflows, BigQuery remote functions and Cloud Scheduler."""

from __future__ import annotations

import os

from portable_fn.adapter import cloudevents
from portable_fn.adapter.tasks import posted_task
from portable_fn.data import parse_json
from portable_fn.errors import DecodeError
from portable_fn.events import ScheduleEvent, Task
from portable_fn.pairs import unquoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from portable_fn.http import Request


def task(request: Request[Any]) -> Task[Any]:
    """Decode a direct call, such as Workflows makes."""
    return posted_task(request, _name(request))


def bigquery(value: dict[str, Any], request: Request[Any]) -> Task[Any]:
    """Decode the call of a remote function; the input is `calls`, the list of each row's arguments.

    https://cloud.google.com/bigquery/docs/remote-functions#input_format
    """
    id, caller = value["requestId"], value.get("caller", "")
    if not isinstance(id, str) or not id or not isinstance(caller, str):
        raise DecodeError("a BigQuery remote function's requestId and caller must be strings, the first not empty")
    return Task(
        id,
        caller,
        value["calls"],
        name=_name(request),
        type="bigquery",
        carrier=request.headers,
        native=request,
    )


def _name(request: Request[Any]) -> str:
    """Return the called path, else the function's name on Cloud Run."""
    return unquoted(request.raw_path[1:]) or os.environ.get("K_SERVICE", "")


def scheduled(request: Request[Any]) -> ScheduleEvent[Any]:
    """Decode a run of a Cloud Scheduler job; `id` is the job's name and the scheduled time, the same in retries.

    https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget
    """
    headers = request.headers
    name, time = headers.get("x-cloudscheduler-jobname"), headers.get("x-cloudscheduler-scheduletime")
    if not name:
        raise DecodeError("a job has no X-CloudScheduler-JobName")
    if not time:
        raise DecodeError(
            "a job has no X-CloudScheduler-ScheduleTime, which identifies a run: only jobs with a schedule in the unix-cron "
            "format send it"
        )
    return ScheduleEvent(
        f"{name}/{time}",
        name,
        time=cloudevents.read_time(time),
        name=name.rpartition("/")[2],
        input=_input(request),
        native=request,
    )


def _input(request: Request[Any]) -> Any:
    """Return a job's body: JSON, else text, else bytes. The default content type of a job is application/octet-stream."""
    if not request.body:
        return None
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        return request.body
    if request.content_type.startswith("text/"):
        return text
    try:
        return parse_json(text)
    except ValueError:
        return text
