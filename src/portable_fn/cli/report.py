"""Print results as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from portable_fn.cli.delivering import Delivered, as_json
from portable_fn.cli.excerpt import plain, text
from portable_fn.cli.payload import event_as_json
from portable_fn.cli.sending import Sent
from portable_fn.events import Event
from portable_fn.http import Request


def print_json(place: str, functions: Sequence[str], request: Request[Any], all_sent: Sequence[Sent]) -> None:
    """Print an object with the target, the request, and each provider's exchange."""
    document = {
        "target": place,
        "functions": list(functions),
        "request": _request(request),
        "exchanges": [_exchange(sent) for sent in all_sent],
    }
    print_object(document)


def print_deliveries(
    place: str, functions: Sequence[str], events: Sequence[Event[Any]], all_delivered: Sequence[Delivered]
) -> None:
    """Print an object with the target, the events, and their outcomes on each provider."""
    document = {
        "target": place,
        "functions": list(functions),
        "events": [event_as_json(event) for event in events],
        "deliveries": [as_json(delivered) for delivered in all_delivered],
    }
    print_object(document)


def print_object(document: Mapping[str, Any]) -> None:
    """Print a JSON object."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def _exchange(sent: Sent) -> dict[str, Any]:
    answer = sent.answer
    return {
        "provider": sent.provider,
        "service": sent.service,
        "native_request": sent.native_request,
        "neutral_request": sent.seen and _request(sent.seen),
        "native_answer": sent.native_answer,
        "answer": answer
        and {"status": answer.status, "headers": list(answer.headers.multi_items()), "body": text(answer.body)},
        "overhead_us": sent.overhead and round(sent.overhead, 2),
        "calls": sent.calls,
        "error": sent.error,
        "log": sent.logged,
    }


def _request(request: Request[Any]) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.raw_path,
        "query": request.raw_query,
        "params": plain(request.params),
        "headers": list(request.headers.multi_items()),
        "body": text(request.raw_body),
    }
