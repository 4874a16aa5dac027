"""Check the law of every adapter: `decode` reads what `simulate` renders."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harnesses import IN_PROCESS, Harness
from portable_fn import Request, portable
from portable_fn.testing import deliver, strategies

# The fields that a service can't carry, with the reason.
LOSES = {"aws alb": {"query": "with single values, ALB keeps the last value of a name"}}


def grouped(request: Request[Any]) -> Request[Any]:
    """Return the request with its query sorted by name, because payloads with lists of values have no other order."""
    pairs = sorted(request.raw_query.split("&"), key=lambda pair: unquote_plus(pair.partition("=")[0]))
    request.raw_query = "&".join(pairs)
    return request


def carried(request: Request[Any], names: set[str]) -> dict[str, Any]:
    """Return the fields that must arrive. Of the headers, only the client's: services add their own and join repeats."""
    return {
        "method": request.method,
        "path": request.path,
        "query": list(request.query.multi_items()),
        "headers": {name: _values(request.headers.get_all(name)) for name in names},
        "cookies": list(request.cookies.multi_items()),
        "body": request.body,
        "scheme": request.scheme,
        "client_ip": request.client_ip,
    }


def _values(lines: list[str]) -> list[str]:
    return [value.strip() for line in lines for value in line.split(",")]


@pytest.mark.parametrize("harness", IN_PROCESS, ids=lambda harness: harness.name)
@settings(deadline=None, max_examples=100 if os.environ.get("CI") else 40)
@given(request_sent=strategies.requests(scheme=st.just("https")).map(grouped))
def test_decode_reads_what_simulate_renders(harness: Harness, request_sent: Request[Any]) -> None:
    if harness.name == "azure":
        # The host decodes a path once, except slashes, so %252F and %2F are the same to it.
        assume("%252f" not in request_sent.raw_path.lower())
    if harness.name == "aws alb":
        # ALB keeps the last line of a header, as of the query.
        names_sent = [name for name, _ in request_sent.headers.multi_items()]
        assume(len(names_sent) == len(set(names_sent)))
    seen: list[Request[Any]] = []

    @portable
    def keep(request: Request) -> None:
        seen.append(request)

    provider, _, service = harness.name.partition(" ")
    answer = deliver(keep, request_sent, to=provider, via=service or None)
    assert answer.status == 204, answer
    names = set(request_sent.headers) - {"cookie"}
    expected, [got] = carried(request_sent, names), [carried(request, names) for request in seen]
    for field in LOSES.get(harness.name, {}):
        del expected[field], got[field]
    assert expected == got
