"""The law of every adapter: what `simulate` renders, `decode` reads back."""

from __future__ import annotations

import os
import string
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harnesses import IN_PROCESS, Harness
from portable_fn import Request, portable
from portable_fn.testing import deliver, fake

TOKEN = string.ascii_letters + string.digits + "-"
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# What an HTTP message can carry in a header; spaces at the ends are not part of a value.
header_values = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20).map(str.strip)
names = st.text(st.sampled_from(TOKEN), min_size=1, max_size=10).map(lambda name: f"x-{name.lower()}")
segments = st.lists(text.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4)
cookie_values = st.text(st.sampled_from(TOKEN + "=%!"), max_size=10)
queries = st.lists(st.tuples(text.filter(bool), text), max_size=5)


# What a service can't carry, with the reason.
LOSES = {"aws alb": {"query": "with single values, ALB keeps the last value of a name"}}


@st.composite
def requests(draw: st.DrawFn) -> Request[Any]:
    path = "/" + "/".join(quote(part, safe="") for part in draw(segments))
    # Grouped by name, since payloads with lists of values have no other order.
    pairs = sorted(draw(queries), key=lambda pair: pair[0])
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    headers = draw(st.dictionaries(names, header_values, max_size=4))
    cookies = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), cookie_values, max_size=3))
    body = draw(st.one_of(st.binary(max_size=50), text.map(str.encode)))
    content_type = draw(st.sampled_from(["text/plain", "application/json", "image/png", None]))
    if content_type is not None:
        headers["content-type"] = content_type
    return fake.request(
        draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"])),
        f"{path}?{query}" if query else path,
        headers=headers,
        cookies=cookies or None,
        body=body,
    )


def carried(request: Request[Any], names: set[str]) -> dict[str, Any]:
    """What must come through; of the headers those that the client sent, since services add their own."""
    return {
        "method": request.method,
        "path": request.path,
        "query": list(request.query.pairs),
        "headers": {name: request.headers.get(name) for name in names},
        "cookies": list(request.cookies.pairs),
        "body": request.body,
        "scheme": request.scheme,
        "client_ip": request.client_ip,
    }


@pytest.mark.parametrize("harness", IN_PROCESS, ids=lambda harness: harness.name)
@settings(deadline=None, max_examples=100 if os.environ.get("CI") else 40)
@given(request_sent=requests())
def test_decode_reads_what_simulate_renders(harness: Harness, request_sent: Request[Any]) -> None:
    if harness.name == "azure":
        # The host decodes a path once but for its slashes, so %252F and %2F are the same to it.
        assume("%252f" not in request_sent.raw_path.lower())
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
