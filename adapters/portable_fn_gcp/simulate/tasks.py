"""Call functions as Workflows, BigQuery and Cloud Scheduler do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from portable_fn.adapter.cloudevents import write_time
from portable_fn.data import to_json
from portable_fn.http import Request
from portable_fn_gcp.simulate.requests import post


def scheduler(event: Any) -> Request[Any]:
    """Build a run of a Cloud Scheduler job."""
    # Its id is decoded from the job's name and time.
    headers = {
        "x-cloudscheduler": "true",
        "x-cloudscheduler-jobname": event.source if "/" in event.source else event.name,
        "user-agent": "Google-Cloud-Scheduler",
    }
    if event.time is not None:
        headers["x-cloudscheduler-scheduletime"] = write_time(event.time)
    if event.input is None:
        return post(b"", headers)
    if isinstance(event.input, bytes):
        return post(event.input, {**headers, "content-type": "application/octet-stream"})
    return post(to_json(event.input).encode(), {**headers, "content-type": "application/json"})


def workflows(event: Any) -> Request[Any]:
    """Build a call by Workflows."""
    body = b"" if event.input is None else to_json(event.input).encode()
    headers = {
        "content-type": "application/json",
        "user-agent": "GoogleCloudWorkflows; (+https://cloud.google.com/workflows/docs)",
    }
    return post(body, headers, f"/{quote(event.name, safe='')}", id=event.id)


def bigquery(event: Any) -> Request[Any]:
    """Build a call of a remote function by BigQuery."""
    # BigQuery sends each row's arguments; any other input is sent as the only argument of one row.
    calls = event.input if _are_calls(event.input) else [[event.input]]
    body = {"requestId": event.id, "caller": event.source, "calls": calls}
    return post(to_json(body).encode(), {"content-type": "application/json"}, f"/{quote(event.name, safe='')}")


def _are_calls(input: object) -> bool:
    return isinstance(input, list) and all(isinstance(call, list) for call in input)
