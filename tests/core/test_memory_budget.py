"""Reading a body takes at most six times the largest body of its function, whatever an attacker sends.

A larger one is refused. The growth of the process counts: the text, the values, and everything on the way.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portable_fn import CloudEvent, DecodeError, HTTPError, Message, Request, on, portable
from portable_fn.data import MAX_JSON_DEPTH, parse_json, read_json
from portable_fn.http import MAX_BODY, MOST_TIMES
from portable_fn.json_limits import TooManyValues
from portable_fn.pairs import MAX_FIELDS
from portable_fn.testing import deliver, fake

pytestmark = pytest.mark.slow

BUDGET = MOST_TIMES * MAX_BODY
# Other growth of a process: code, the examined part, the rounding of the estimate.
SLACK = 4 * 1024 * 1024
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


def peak(call: Callable[[], object]) -> tuple[int, object]:
    """Return the most memory that the call has at once, and its result or error."""
    tracemalloc.start()
    try:
        result: object = call()
    except (HTTPError, ValueError) as exc:
        result = exc
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return taken, result


def filled(unit: str, size: int, head: str = "[", tail: str = "0]") -> bytes:
    """Return an array of a repeated unit, of about `size` bytes."""
    unit_size = len(unit.encode())
    return (head + unit * ((size - len(head) - len(tail)) // unit_size) + tail).encode()


Make = Callable[[int], bytes]
HOSTILE_JSON: dict[str, Make] = {
    "empty arrays": lambda size: filled("[],", size),
    "empty objects": lambda size: filled("{},", size),
    "spaced empty objects": lambda size: filled("{ },", size),
    "arrays of one": lambda size: filled("[0],", size),
    "objects of one": lambda size: filled('{"a":1},', size),
    "objects in objects": lambda size: filled('{"":' * 190 + "[]" + "}" * 190 + ",", size),
    "arrays in arrays": lambda size: filled("[" * 150 + "]" * 150 + ",", size),
    "short texts": lambda size: filled('"ab",', size),
    "numbers": lambda size: filled("300,", size),
    "small negative numbers": lambda size: filled("-6,", size),
    "decimals": lambda size: filled("1.5,", size),
    "exponents": lambda size: filled("1e5,", size),
    "long numbers": lambda size: filled("1" * 4000 + ",", size),
    "nulls": lambda size: filled("null,", size),
    "digits": lambda size: filled("0,", size),
    "keys": lambda size: ("{" + ",".join(f'"{number:x}":1' for number in range(size // 11)) + "}").encode(),
    "keys with escapes": lambda size: (
        "{" + ",".join(f'"{chr(92)}{chr(34)}{number:x}":1' for number in range(size // 13)) + "}"
    ).encode(),
    "keys of escapes": lambda size: filled('{"' + "\\\\" * 9 + '":"\\"\\""},', size),
    "one key again": lambda size: filled('"a":1,', size, "{", '"b":2}'),
    "brackets without end": lambda size: b"[" * size,
    "quotes without end": lambda size: b"[" * 201 + b'"' * (size - 201),
    "a long text": lambda size: b'"' + b"x" * (size - 2) + b'"',
    "a long text and brackets": lambda size: b'{"a": "' + b"x" * (size - 1000) + b'", "b": [' + b"[]," * 201 + b"[]]}",
    "a text of brackets": lambda size: b'["' + b"[{," * (size // 3 - 2) + b'"]',
    "escapes": lambda size: b'"' + rb"\n" * (size // 2 - 1) + b'"',
    "escaped quotes": lambda size: b'["' + rb"\"" * (size // 2 - 2) + b'"]',
    "backslashes": lambda size: b'["' + rb"\\" * (size // 2 - 2) + b'"]',
    "escaped letters": lambda size: b'"' + rb"\u00e9" * (size // 6 - 1) + b'"',
    "escaped emoji": lambda size: b'"' + rb"\ud83d\ude00" * (size // 12 - 1) + b'"',
    "an escaped emoji first": lambda size: rb'"\ud83d\ude00' + b"x" * (size - 16) + b'"',
    "an escaped emoji last": lambda size: b'"' + b"x" * (size - 16) + rb'\ud83d\ude00"',
    "an emoji first": lambda size: '"😀'.encode() + b"x" * (size - 6) + b'"',
    "an emoji last": lambda size: b'"' + b"x" * (size - 6) + '😀"'.encode(),
    "an emoji each": lambda size: filled('"😀xxxxxxxxxxxxxxxxxxxx",', size),
    "short texts with an emoji": lambda size: filled('"😀x",', size),
    "an emoji now and then": lambda size: b'"' + "😀xxxxxxxxxxxxxxxxxxxx".encode() * (size // 24) + b'"',
    "a Cyrillic letter": lambda size: '"ж'.encode() + b"x" * (size - 4) + b'"',
    "Cyrillic letters": lambda size: b'"' + "ж".encode() * (size // 2 - 1) + b'"',
    "no JSON": lambda size: b"x" * size,
    "not UTF-8": lambda size: b"\xff" * size,
}


GROWTH = """
import sys
from portable_fn import Request
from portable_fn.errors import HTTPError

def resident():
    # ru_maxrss would be that of the process which started this one, if it is larger.
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

with open(sys.argv[1], "rb") as file:
    body = file.read()
request = Request("POST", "/", "", [("content-type", sys.argv[2])], body)
found = 200
before = resident()
try:
    request.data
except HTTPError as exc:
    found = exc.status
print(found, resident() - before)
"""


def growth(body: bytes, content_type: str, folder: Path, code: str = GROWTH) -> tuple[int, int]:
    """Return the status of reading the body, and by how many bytes the reading process grows."""
    (folder / "body").write_bytes(body)
    command = [sys.executable, "-c", code, str(folder / "body"), content_type]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    status, grown = run.stdout.split()
    return int(status), int(grown)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is in /proc on Linux alone")


@on_linux
@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_stays_within_the_budget(name: str, tmp_path: Path) -> None:
    body = HOSTILE_JSON[name](MAX_BODY)
    assert len(body) <= MAX_BODY
    status, grown = growth(body, "application/json", tmp_path)
    assert status in (200, 400, 413)
    assert grown <= BUDGET + SLACK, (name, status, grown / len(body))


@on_linux
@pytest.mark.parametrize("name", ["empty arrays", "objects in objects", "numbers", "keys", "short texts with an emoji"])
def test_a_smaller_body_takes_no_more_than_the_largest_may(name: str, tmp_path: Path) -> None:
    for size in (1_400_000, 4_000_000):
        _, grown = growth(HOSTILE_JSON[name](size), "application/json", tmp_path)
        assert grown <= BUDGET + SLACK


LEGAL: dict[str, tuple[Make, int]] = {
    "rows": (lambda size: filled('{"id": 123456, "name": "John Smith", "mail": "john@example.com"},', size), 7_500_000),
    "wide rows": (
        lambda size: filled('{"sku": "lamp", "amount": 12, "price": "7.10", "at": "2026-11-30T10:00:00Z", "gift": false, "note": "leave it at the door"},', size),
        9_000_000,
    ),
    "coordinates": (lambda size: filled("[12.3456,45.6789],", size), 6_000_000),
    "pixels": (lambda size: filled("0,255,17,", size), MAX_BODY),
    "digits": (lambda size: filled("0,", size), MAX_BODY),
    "small rows": (lambda size: filled('{"id":123,"n":"ab"},', size), 3_500_000),
    "empty arrays": (lambda size: filled("[],", size), 1_400_000),
    "a picture in base64": (lambda size: json.dumps({"name": "a", "data": "QUJD" * (size // 4 - 20)}).encode(), MAX_BODY),
    "a table as text": (lambda size: json.dumps({"csv": "1,2,[3],{4}\n" * (size // 13 - 2)}).encode(), MAX_BODY),
    "prose with emoji": (lambda size: json.dumps(["All good 😀 so far, thank you"] * (size // 48)).encode(), 3_000_000),
    "prose in Cyrillic": (lambda size: json.dumps(["все хорошо"] * (size // 26), ensure_ascii=False).encode(), 6_000_000),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_bodies_as_people_send_them_are_read(name: str) -> None:
    make, size = LEGAL[name]
    body = make(size)
    assert len(body) > size * 0.8
    assert json.loads(body) == fake.request("POST", "/", body=body).json()


def test_a_body_with_too_many_values_is_a_413_and_a_larger_limit_lets_it_in() -> None:
    body = filled("[],", 4_000_000)

    @portable(on.http("POST", "/"))
    def take(request: Request) -> int:
        return len(request.json())

    @portable(on.http("POST", "/", max_body=20 * 1024 * 1024))
    def take_more(request: Request) -> int:
        return len(request.json())

    answer = deliver(take, fake.request("POST", "/", body=body), to="asgi")
    assert (413, "The body's JSON has too many values.") == (answer.status, answer.json()["detail"])
    assert 200 == deliver(take_more, fake.request("POST", "/", body=body), to="asgi").status


def test_a_typed_body_is_not_kept_beside_its_model() -> None:
    @portable(on.http("POST", "/"))
    def take(request: Request[list[int]]) -> int:
        return len(request.data)

    body = filled("0,", 1_000_000)
    request = fake.request("POST", "/", body=body, headers={"content-type": "application/json"})
    taken, result = peak(lambda: take(request))
    assert len(body) // 2 == result
    # The text and its values, 5.2 times the body, without the model.
    assert taken <= 7 * len(body)


@pytest.mark.parametrize("charset", ["utf-16-le", "gb18030", "shift_jis"])
def test_another_charset_stays_within_the_budget(charset: str) -> None:
    text = '"' + "ж" + "x" * 4_900_000 + '"'
    headers = {"content-type": f"application/json; charset={charset.replace('-le', 'le')}"}
    request = fake.request("POST", "/", body=text.encode(charset), headers=headers)
    taken, result = peak(request.json)
    assert text[1:-1] == result
    assert taken <= BUDGET


def test_a_message_with_too_many_values_is_unreadable() -> None:
    with pytest.raises(DecodeError, match="too many values"):
        Message("m", "s", filled("[],", 4_000_000)).read_data()
    with pytest.raises(TooManyValues):
        parse_json(filled("[],", 4_000_000).decode())


@pytest.mark.parametrize("spaces", [0, 65_530, 65_535, 65_536, 65_537, 131_072])
@pytest.mark.parametrize("inside", ["", "\\", "\\\\", '\\"', '\\\\\\"', "[", "]", "\\u005b"])
def test_a_text_is_measured_in_parts_as_in_one(spaces: int, inside: str) -> None:
    string = json.dumps("x" * 3 + inside)
    deep, too_deep = ("[" * depth + string + "]" * depth for depth in (MAX_JSON_DEPTH, MAX_JSON_DEPTH + 1))
    filler = json.dumps("[" * spaces + inside)
    assert json.loads(deep) == read_json(f"{deep}{' ' * spaces}".encode())
    expected = [inside and "[" * spaces + inside, json.loads("[" * 150 + string + "]" * 150)]
    expected[0] = "[" * spaces + inside
    assert expected == read_json(f"[{filler},{'[' * 150}{string}{']' * 150}]".encode())
    with pytest.raises(ValueError, match="nested more than 200 levels"):
        read_json(f"[{filler},{too_deep}]".encode())


# Forms


def part(value: bytes, name: bytes = b"f", more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


SIZE = MAX_BODY - 300
EMOJI = "😀".encode()
HOSTILE_FORMS: dict[str, tuple[Callable[[], bytes], dict[str, str], int]] = {
    "fields": (lambda: b"a&" * (MAX_BODY // 2), FORM, 413),
    "nothing": (lambda: b"&" * MAX_BODY, FORM, 413),
    "as many as may be": (lambda: b"&".join(b"%d=" % i + b"x" * 10_000 for i in range(MAX_FIELDS)), FORM, 200),
    "escapes": (lambda: b"a=" + b"%41" * (SIZE // 3), FORM, 200),
    "blanks": (lambda: b"a=" + b"+" * SIZE, FORM, 200),
    "no UTF-8": (lambda: b"a=" + b"%ff" * (SIZE // 3), FORM, 200),
    "an escaped emoji first": (lambda: b"a=%F0%9F%98%80" + b"x" * (SIZE - 20), FORM, 200),
    "an escaped emoji last": (lambda: b"a=" + b"x" * (SIZE - 20) + b"%F0%9F%98%80", FORM, 200),
    "an emoji": (lambda: b"a=" + EMOJI + b"x" * (SIZE - 20), FORM, 200),
    "a long name": (lambda: b"x" * SIZE, FORM, 200),
    "equals": (lambda: b"=" * SIZE, FORM, 200),
    "a part": (lambda: multipart(part(b"x" * SIZE)), MULTIPART, 200),
    "a part with an emoji": (lambda: multipart(part(b"x" * (SIZE - 9) + EMOJI)), MULTIPART, 200),
    "a file": (lambda: multipart(part(b"x" * (SIZE - 50), more=b'; filename="a"')), MULTIPART, 200),
    "parts": (lambda: multipart(*[part(b"v")] * (SIZE // 60)), MULTIPART, 413),
    "headers of parts": (lambda: multipart(*[part(b"v", more=b"\r\nX: " + b"y" * 4000)] * 1000), MULTIPART, 200),
    "half a boundary": (lambda: multipart(part(b"\r\n--" * (SIZE // 4))), MULTIPART, 200),
}


@on_linux
@pytest.mark.parametrize("name", HOSTILE_FORMS)
def test_a_hostile_form_stays_within_the_budget(name: str, tmp_path: Path) -> None:
    make, headers, status = HOSTILE_FORMS[name]
    body = make()
    assert len(body) <= MAX_BODY
    result, grown = growth(body, headers["content-type"], tmp_path)
    assert grown <= BUDGET + SLACK, grown / MAX_BODY
    assert status == result


def test_a_form_has_a_thousand_fields_at_most() -> None:
    for separator, count, status in (("&", MAX_FIELDS, 200), ("&", MAX_FIELDS + 1, 413), ("&&", 501, 413)):
        body = separator.join(f"k{number}=1" for number in range(count))
        request = fake.request("POST", "/", body=body, headers=FORM)
        if status == 200:
            assert count == len(request.data)
        else:
            with pytest.raises(HTTPError, match="over 1000 fields") as caught:
                request.data  # noqa: B018  # reading it is the test
            assert status == caught.value.status


def test_a_form_in_another_charset_and_a_percent_at_a_parts_end_are_read() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=iso-8859-1"}
    assert "ä ö" == fake.request("POST", "/", body="a=ä+%C3%B6".encode("latin-1"), headers=headers).form["a"]
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-16le"}
    assert "ä" == fake.request("POST", "/", body="a=ä&b".encode("utf-16-le"), headers=headers).form["a"]
    for length in range(65_530, 65_540):
        assert "x" * length + "é" == fake.request("POST", "/", body=f"a={'x' * length}%C3%A9", headers=FORM).form["a"]


# Events

CLOUD_EVENT = b'{"specversion":"1.0","id":"1","source":"s","type":"t"'
HOSTILE_EVENTS: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "digits": (lambda: CLOUD_EVENT + b',"data":[' + b"0," * (SIZE // 2) + b"0]}", "", 400),
    "empty arrays": (lambda: CLOUD_EVENT + b',"data":[' + b"[]," * (SIZE // 3) + b"0]}", "", 400),
    "a long text": (lambda: CLOUD_EVENT + b',"data":"' + b"x" * SIZE + b'"}', "", 202),
    "an emoji": (lambda: CLOUD_EVENT + b',"data":"' + EMOJI + b"x" * SIZE + b'"}', "", 400),
    "base64": (lambda: CLOUD_EVENT + b',"data_base64":"' + b"AAAA" * (SIZE // 4) + b'"}', "", 202),
    "attributes": (lambda: CLOUD_EVENT + b"".join(b',"a%x":""' % i for i in range(800_000)) + b"}", "", 400),
    "events": (lambda: b"[" + b",".join([CLOUD_EVENT + b"}"] * (SIZE // 55)) + b"]", "-batch", 400),
    "as many events as may be": (lambda: b"[" + b",".join([CLOUD_EVENT + b"}"] * 10_000) + b"]", "-batch", 202),
    "numbers for events": (lambda: b"[" + b"1," * (SIZE // 2) + b"1]", "-batch", 400),
}
EVENT = """
import asyncio, logging, sys
from portable_fn import CloudEvent, on, portable
from portable_fn_asgi import entry
logging.disable(50)

@portable(on.event("t"))
def take(event: CloudEvent): event.body

def resident():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

with open(sys.argv[1], "rb") as file:
    body = file.read()

async def receive():
    return {"type": "http.request", "body": body}

async def send(message):
    sent.append(message)

sent = []
headers = [(b"content-type", sys.argv[2].encode()), (b"content-length", b"%d" % len(body))]
scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/", "headers": headers}
application = entry(take)
before = resident()
asyncio.run(application(scope, receive, send))
print(sent[0]["status"], resident() - before)
"""


@on_linux
@pytest.mark.parametrize("name", HOSTILE_EVENTS)
def test_hostile_cloudevents_stay_within_the_budget(name: str, tmp_path: Path) -> None:
    make, form, status = HOSTILE_EVENTS[name]
    body = make()
    assert len(body) <= MAX_BODY
    result, grown = growth(body, f"application/cloudevents{form}+json", tmp_path, EVENT)
    assert grown <= BUDGET + 2 * SLACK, grown / MAX_BODY
    assert status == result


# Queries, cookies and headers


@pytest.mark.parametrize("path", ["/", "/events"])
def test_a_request_has_a_thousand_headers_at_most(path: str) -> None:
    @portable(on.http("POST", "/"))
    def take(request: Request) -> str:
        return request.headers["x-0"]

    @portable(on.event("t"))
    def event(event: CloudEvent) -> None: ...

    for functions in ([take], [take, event]):
        for count, expected in ((900, 200), (1100, 431)):
            headers = [(f"x-{number}", "v") for number in range(count)]
            status = expected if path == "/" else 404
            assert status == deliver(functions, fake.request("POST", path, headers=headers), to="asgi").status


def test_a_query_has_a_thousand_parameters_at_most() -> None:
    assert MAX_FIELDS == len(Request("GET", "/", "&".join(f"a{number}" for number in range(MAX_FIELDS))).query)
    for query in ("a&" * 5_000_000, "&".join(["a"] * (MAX_FIELDS + 1))):
        request: Request[Any] = Request("GET", "/", query)
        taken, result = peak(lambda: request.query)  # noqa: B023  # called at once
        assert isinstance(result, HTTPError)
        assert 414 == result.status
        assert taken < 100_000


def test_a_request_has_a_thousand_cookies_at_most() -> None:
    assert MAX_FIELDS == len(Request(headers={"cookie": "; ".join(f"a{n}=b" for n in range(MAX_FIELDS))}).cookies)
    for headers in ([("cookie", "a=b;" * 1_000_000)], [("cookie", "a=b; c=d; e=f")] * 600):
        request: Request[Any] = Request(headers=headers)
        request.headers  # noqa: B018  # read before
        taken, result = peak(lambda: request.cookies)  # noqa: B023  # called at once
        assert isinstance(result, HTTPError)
        assert 431 == result.status
        assert taken < 1_000_000
