"""Dead letters for storage queues and Service Bus queues: signed, sent in time, and without secrets in errors."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

import pytest

from portable_fn import Message, Reject, on, portable
from portable_fn.adapter.dead_letter import Destination, letter, reason, restored
from portable_fn.testing import fake
from portable_fn_azure.decode import AzureContext
from portable_fn_azure.drivers import api
from portable_fn_azure.drivers import queue as queues
from portable_fn_azure.events.entry import EventRouter
from portable_fn_azure.events.register import Settings, plan
from portable_fn_azure.simulate.queues import Queues
from tests.runtimes.azurite import Storage, signature

KEY = "c2VjcmV0L2tleSs="
WHEN = {"x-ms-date": "Fri, 02 Jan 2026 03:04:05 GMT", "x-ms-version": "2021-12-02"}


def test_a_storage_request_has_the_signature_of_azure_storage_queue() -> None:
    # The signatures of SharedKeyCredentialPolicy of azure-storage-queue 12.18.1 for the same requests.
    typed = {**WHEN, "content-type": "application/xml"}
    path, query = "/orders-dead/messages", {"messagettl": "-1"}
    signed = api.signature("POST", "shop", KEY, path, query, typed, 77)
    assert "ftS4f7f8YS1WvMM7tfyLZkJecfxXAchfZnkkQCzwsNg=" == signed
    path, query = f"/devstoreaccount1{path}", {"numofmessages": "3", "messagettl": "-1"}
    signed = api.signature("POST", "devstoreaccount1", KEY, path, query, WHEN, 0)
    assert "Wu4yE/rhSNJkLdeo+Gl3ghR9I5hMxbBpQecYINxgDq4=" == signed


def test_a_shared_access_signature_equals_that_of_azure_servicebus() -> None:
    # The result of generate_sas_token of azure-servicebus 7.15.0 for the same arguments.
    uri, until = "https://shop.servicebus.windows.net", 1767323045
    assert (
        "SharedAccessSignature sr=https%3A%2F%2Fshop.servicebus.windows.net&sig="
        f"Ut6U5iz1YZdjwO0mgDHt8Zk%2Bll1tA32pB%2BqoBoTqJeA%3D&se={until}&skn=Root+Manage%2BKey"
    ) == api.sas(uri, "Root Manage+Key", KEY, until)


class Server:
    """A server that answers with the next of `answers`, else 201, and keeps the requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.delay = 0.0
        self.port = 0

    @property
    def storage(self) -> str:
        return f"AccountName=shop;AccountKey={KEY};QueueEndpoint=http://127.0.0.1:{self.port}/shop;"

    @property
    def service_bus(self) -> str:
        return f"Endpoint=sb://127.0.0.1:{self.port}/;SharedAccessKeyName=all;SharedAccessKey={KEY};UseDevelopmentEmulator=true"


@pytest.fixture
def server() -> Iterator[Server]:
    known = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            known.asked.append((self.command, self.path, dict(self.headers), body))
            time.sleep(known.delay)
            status, answer = known.answers.pop(0) if known.answers else (201, b"")
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None: ...

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.port = serving.server_port
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield known
    serving.shutdown()
    thread.join()
    serving.server_close()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AzureWebJobsStorage", "ServiceBusConnection", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name, raising=False)
    api._tokens.clear()


def send(kind: str = "storage_queue", event: Any = None, seconds: float | None = None, file: str = __file__) -> None:
    setting = "AzureWebJobsStorage" if kind == "storage_queue" else "ServiceBusConnection"
    event = fake.message({"n": 1}) if event is None else event
    queues.dead_letter(kind, "orders-dead", setting, event, Reject("unknown sku"), seconds, file)


def text_of(body: bytes) -> str:
    return ElementTree.fromstring(body).findtext("MessageText") or ""


def test_a_dead_letter_in_a_storage_queue_never_expires(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", server.storage)
    send()
    [(method, path, headers, body)] = server.asked
    assert ("POST", "/shop/orders-dead/messages?messagettl=-1") == (method, path)
    named = {name.lower(): value for name, value in headers.items()}
    signed = api.signature(
        "POST", "shop", KEY, "/shop/orders-dead/messages", {"messagettl": "-1"}, {name: named[name] for name in (*WHEN, "content-type")}, len(body)
    )  # fmt: skip
    assert f"SharedKey shop:{signed}" == named["authorization"]
    received = fake.message(body=b64decode(text_of(body)))
    assert ("unknown sku", {"n": 1}) == (reason(received), restored(received).data)


def test_a_missing_queue_is_created(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", server.storage)
    server.answers = [(404, b"<Error><Code>QueueNotFound</Code></Error>"), (201, b""), (201, b"")]
    send()
    assert [
        ("POST", "/shop/orders-dead/messages?messagettl=-1"),
        ("PUT", "/shop/orders-dead"),
        ("POST", "/shop/orders-dead/messages?messagettl=-1"),
    ] == [(method, path) for method, path, _, _ in server.asked]


@pytest.mark.parametrize(
    ("host", "file", "is_base64"),
    [
        (None, "handlers.py", True),
        ("{}", "handlers.py", True),
        ("no json", "handlers.py", True),
        ('{"extensions": {"queues": {"messageEncoding": "base64"}}}', "handlers.py", True),
        ('{"extensions": {"queues": {"messageEncoding": "none"}}}', "handlers.py", False),
        ('{"extensions": {"queues": {"messageEncoding": "none"}}}', ".python_packages/lib/site-packages/shop/handlers.py", False),
    ],
)  # fmt: skip
def test_host_json_sets_the_encoding_of_the_text(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str | None, file: str, is_base64: bool
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", server.storage)
    if host is not None:
        (tmp_path / "host.json").write_text(host)
    send(event=fake.message({"note": "<é> & 🎉"}), file=str(tmp_path / file))
    text = text_of(server.asked[0][3])
    content = b64decode(text, validate=True) if is_base64 else text.encode()
    assert {"note": "<é> & 🎉"} == restored(fake.message(body=content)).data


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a2V5;EndpointSuffix=core.windows.net", "https://shop.queue.core.windows.net"),
        ("AccountName=shop;AccountKey=a2V5", "https://shop.queue.core.windows.net"),
        ("BlobEndpoint=https://b;QueueEndpoint=https://q.example/;SharedAccessSignature=?sv=1&sig=a%3D", "https://q.example"),
        ("UseDevelopmentStorage=true", "http://127.0.0.1:10001/devstoreaccount1"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite", "http://azurite:10001/devstoreaccount1"),
    ],
)  # fmt: skip
def test_a_connection_string_names_the_storage_account(monkeypatch: pytest.MonkeyPatch, text: str, url: str) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", text)
    asked: list[str] = []
    monkeypatch.setattr(queues.api, "call", lambda method, url, *rest: asked.append(url) or (201, b""))
    send()
    assert asked[0].startswith(f"{url}/orders-dead/messages?messagettl=-1")
    assert ("sig=a%3D" in asked[0]) is ("SharedAccessSignature" in text)


@pytest.mark.parametrize(
    ("name", "value", "url"),
    [
        ("Mine__accountName", "shop", "https://shop.queue.core.windows.net"),
        ("Mine__queueServiceUri", "https://shop.queue.core.chinacloudapi.cn/", "https://shop.queue.core.chinacloudapi.cn"),
        ("Mine__serviceUri", "https://q", "https://q"),
        ("AzureWebJobsMine__accountName", "shop", "https://shop.queue.core.windows.net"),
    ],
)  # fmt: skip
def test_an_identitys_token_is_kept(monkeypatch: pytest.MonkeyPatch, name: str, value: str, url: str) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("Mine__clientId", "client-1")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://identity/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    asked: list[Any] = []

    def call(method: str, to: str, headers: Any, body: Any, seconds: float) -> tuple[int, bytes]:
        asked.append((method, to, dict(headers)))
        if method == "GET":
            return 200, json.dumps({"access_token": "t", "expires_on": str(int(time.time()) + 3600)}).encode()
        return 201, b""

    monkeypatch.setattr(queues.api, "call", call)
    for _ in range(2):
        queues.dead_letter("storage_queue", "dead", "Mine", fake.message({}), Reject(), None, __file__)
    assert ["GET", "POST", "POST"] == [method for method, _, _ in asked]
    query = {"api-version": ["2019-08-01"], "resource": ["https://storage.azure.com/"], "client_id": ["client-1"]}
    assert (query, "secret") == (parse_qs(urlsplit(asked[0][1]).query), asked[0][2]["x-identity-header"])
    assert (f"{url}/dead/messages?messagettl=-1", "Bearer t") == (asked[1][1], asked[1][2]["authorization"])


def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Mine__fullyQualifiedNamespace", "shop.servicebus.windows.net")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://identity/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    asked: list[str] = []

    def call(method: str, to: str, headers: Any, body: Any, seconds: float) -> tuple[int, bytes]:
        asked.append(to)
        return (
            (200, json.dumps({"access_token": "t", "expires_on": time.time() + 200}).encode())
            if method == "GET"
            else (201, b"")
        )

    monkeypatch.setattr(queues.api, "call", call)
    for _ in range(2):
        queues.dead_letter("service_bus_queue", "dead", "Mine", fake.message({}), Reject(), None, __file__)
    assert 4 == len(asked)
    assert "https://shop.servicebus.windows.net/dead/messages" == asked[1]
    assert "resource=https%3A%2F%2Fservicebus.azure.net%2F" in asked[0]


def from_service_bus(asked: tuple[str, str, dict[str, str], bytes]) -> Message[Any]:
    method, path, headers, body = asked
    received = Queues()
    assert 201 == received.call(method, f"http://host{path}", headers, body, 1)[0]
    return received.letters[0]


def test_a_dead_letter_keeps_its_attributes_on_service_bus(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ServiceBusConnection", server.service_bus)
    attributes: dict[str, Any] = {
        "tenant": "7", "city": "Zürich", "quoted": 'a "b" \\', "raw": b"\xff", "none": None, "empty": "", "a b": "1", "host": "x",
        "Date": "y", "line": "a\nb: c", "portable-fn-mine": "z",
    }  # fmt: skip
    event = fake.message(
        body=b"\xff\x00", attributes=attributes, key="customer-ü", subject="an örder", content_type="application/x",
        sequence="41", partition="3",
    )  # fmt: skip
    send("service_bus_queue", event)
    [asked] = server.asked
    method, path, headers, body = asked
    assert ("POST", "/orders-dead/messages", b"\xff\x00") == (method, path, body)
    assert headers["Authorization" if "Authorization" in headers else "authorization"].startswith(
        "SharedAccessSignature sr="
    )
    assert ('"7"', '"unknown sku"') == (headers["tenant"], headers["portable-fn-reason"])
    broker = json.loads(headers["BrokerProperties"])
    assert ("customer-ü", "an örder") == (broker["SessionId"], broker["Label"])
    received = from_service_bus(asked)
    assert (event, "unknown sku") == (restored(received), reason(received))


def test_a_dead_letter_without_a_content_type_reads_the_same_on_service_bus(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ServiceBusConnection", server.service_bus)
    event = fake.message({"n": 1})
    send("service_bus_queue", event)
    received = from_service_bus(server.asked[0])
    assert ({"n": 1}, "", event) == (received.data, restored(received).content_type, restored(received))  # type: ignore[attr-defined]


@pytest.mark.parametrize("attributes", [{"long": "é" * 20_000}, {f"a{n}": "x" * 900 for n in range(30)}])
def test_attributes_too_large_for_headers_are_in_the_body(
    server: Server, monkeypatch: pytest.MonkeyPatch, attributes: dict[str, str]
) -> None:
    monkeypatch.setenv("ServiceBusConnection", server.service_bus)
    event = fake.message({"n": 1}, attributes=attributes)
    send("service_bus_queue", event)
    [asked] = server.asked
    assert sum(len(name) + len(value) for name, value in asked[2].items()) < 16_000
    received = from_service_bus(asked)
    assert (event, "unknown sku") == (restored(received), reason(received))


def test_a_repeated_send_has_the_same_id_and_two_messages_with_one_id_have_two() -> None:
    first, same, other = (fake.message(body=body, id="m-1") for body in (b"1", b"1", b"2"))
    assert queues.message_id(first) == queues.message_id(same) != queues.message_id(other)
    assert len(queues.message_id(first)) <= 128


def test_a_session_of_service_bus_has_at_most_128_characters(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ServiceBusConnection", server.service_bus)
    event = fake.message({}, key="k" * 1000, subject="s" * 1000)
    send("service_bus_queue", event)
    broker = json.loads(server.asked[0][2]["BrokerProperties"])
    assert (64, 128) == (len(broker["SessionId"]), len(broker["Label"]))
    assert event == restored(from_service_bus(server.asked[0]))


@pytest.mark.parametrize("kind", ["storage_queue", "service_bus_queue"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((403, b"<?xml?><Error><Code>AuthenticationFailed</Code><Message>secret</Message></Error>"), "refused a message with 403 AuthenticationFailed"),
        ((500, b"secret"), "refused a message with 500"),
    ],
)  # fmt: skip
def test_the_error_has_the_code_of_a_refusal(
    server: Server, monkeypatch: pytest.MonkeyPatch, kind: str, answer: tuple[int, bytes], error: str
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", server.storage)
    monkeypatch.setenv("ServiceBusConnection", server.service_bus)
    server.answers = [answer]
    with pytest.raises(api.QueueError, match=error) as raised:
        send(kind)
    assert "secret" not in str(raised.value)


SECRETS = "S3CRET"


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [
        ("storage_queue", None, "the setting AzureWebJobsStorage is missing"),
        ("service_bus_queue", None, "the setting ServiceBusConnection is missing"),
        ("storage_queue", SECRETS, "the setting AzureWebJobsStorage must be a connection string"),
        ("service_bus_queue", f"a;{SECRETS}", "the setting ServiceBusConnection must be a connection string"),
        ("storage_queue", f"AccountKey={SECRETS}", "needs AccountName or QueueEndpoint"),
        ("storage_queue", "AccountName=shop;AccountKey=S3CRE", "the AccountKey of a connection string must be base64"),
        ("service_bus_queue", f"SharedAccessKey={SECRETS}", "has no Endpoint"),
        ("service_bus_queue", f"Endpoint=sb://x/;SharedAccessKey={SECRETS}", "needs SharedAccessKeyName and SharedAccessKey, or"),
        ("storage_queue", f"QueueEndpoint=http://127.0.0.1:1;SharedAccessSignature=sig={SECRETS}", "127.0.0.1:1 can't be reached: ConnectionRefusedError"),
        ("storage_queue", f"QueueEndpoint=http://127.0.0.1:1/a b;SharedAccessSignature=sig={SECRETS}", "127.0.0.1:1 can't be reached"),
        ("storage_queue", "QueueEndpoint=https://q", "needs a managed identity, but the app has none: IDENTITY_ENDPOINT isn't set"),
    ],
)  # fmt: skip
def test_the_error_names_a_malformed_setting_without_its_value(
    monkeypatch: pytest.MonkeyPatch, kind: str, text: str | None, error: str
) -> None:
    if text is not None:
        monkeypatch.setenv("AzureWebJobsStorage" if kind == "storage_queue" else "ServiceBusConnection", text)
    with pytest.raises(api.QueueError, match=error) as raised:
        send(kind)
    chain = f"{raised.value} {raised.value.__cause__}"
    assert SECRETS not in chain


@pytest.mark.parametrize("answer", [(400, b"{}"), (200, b"no json"), (200, b"[]"), (200, b'{"access_token": "t"}')])
def test_an_identity_without_a_token_is_an_error(monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes]) -> None:
    monkeypatch.setenv("Mine__accountName", "shop")
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://identity")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    monkeypatch.setattr(queues.api, "call", lambda *args: answer)
    with pytest.raises(api.QueueError, match=r"the app's identity gets no token for https://storage.azure.com/"):
        queues.dead_letter("storage_queue", "dead", "Mine", fake.message({}), Reject(), None, __file__)


@pytest.mark.parametrize("kind", ["storage_queue", "service_bus_queue"])
def test_a_send_ends_in_time(server: Server, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", server.storage)
    monkeypatch.setenv("ServiceBusConnection", server.service_bus)
    server.delay = 2
    start = time.monotonic()
    with pytest.raises(api.QueueError, match="can't be reached: TimeoutError"):
        send(kind, seconds=0.2)
    assert time.monotonic() - start < 1.5
    with pytest.raises(api.QueueError, match="can't be reached: TimeoutError"):
        send(kind, seconds=0)


def test_a_message_without_room_for_the_reason_is_sent_unchanged(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", server.storage)
    send(event=fake.message(body=b"\xff" * 40_000))
    assert b"\xff" * 40_000 == b64decode(text_of(server.asked[0][3]))
    assert (
        "the dead letter of message-1 has no room for the reason: it is sent without one, as the original message"
        in caplog.messages
    )
    with pytest.raises(api.QueueError, match=r"the message has 66\d+ characters, but a storage queue takes 65536"):
        send(event=fake.message(body=b"\xff" * 50_000))
    with pytest.raises(api.QueueError, match="a storage queue takes 65536"):
        send(event=fake.change(after={"id": "x" * 60_000}))


def test_connections_name_the_setting_of_the_dead_letter_queue(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Mine", server.storage)

    @portable(on.queue("orders", dead_letter="orders-dead"))
    def ship(order: Message[Any]) -> None: ...

    [function] = plan([ship.__portable__], set(), Settings(connections={"orders": "Mine"}))  # type: ignore[attr-defined]
    consumer = EventRouter(function, lambda native: AzureContext(native, False)).consumer
    assert consumer.failures.dead_letter is not None
    assert consumer.failures.dead_letter(fake.message({}), Reject(), "orders-dead", None)
    assert "/shop/orders-dead/messages?messagettl=-1" == server.asked[0][1]


def test_dead_letter_queues_load_nothing_until_a_send() -> None:
    import subprocess
    import sys

    script = """
import sys
from portable_fn import Message, on, portable
from portable_fn_azure import entry

@portable(on.queue("orders", dead_letter="dead"))
def ship(order: Message) -> None: ...

entry(ship)
assert not {"portable_fn.adapter.dead_letter", "portable_fn_azure.drivers.queue", "portable_fn.adapter.http_client"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# Azurite


@pytest.mark.runtime
@pytest.mark.parametrize(
    "setting",
    [
        lambda storage: storage.connection_string,
        lambda storage: f"QueueEndpoint={storage.queues};SharedAccessSignature={urlencode(signature())}",
    ],
    ids=["by a key", "by a signature"],
)
def test_azurite_accepts_a_dead_letter(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, setting: Callable[[Storage], str], request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", setting(storage))
    queue = f"dead-{request.node.callspec.indices['setting']}"
    events = [
        fake.message(body=body, id=f"m-{n}", attributes={"a": "é"}) for n, body in enumerate((b"{}", b"\xff", b"<&>"))
    ]
    # The queue is missing at the first send.
    for event in events:
        queues.dead_letter("storage_queue", queue, "AzureWebJobsStorage", event, Reject("ünknown"), None, __file__)
    letters = [fake.message(body=b64decode(message.text)) for message in storage.receive(queue)]
    assert events == [restored(received) for received in letters]
    assert {"ünknown"} == {reason(received) for received in letters}


@pytest.mark.runtime
def test_azurite_refuses_a_wrong_key(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AzureWebJobsStorage",
        f"AccountName=devstoreaccount1;AccountKey=a2V5;QueueEndpoint={storage.queues}",
    )
    with pytest.raises(api.QueueError, match=r"with 403 (AuthorizationFailure|AuthenticationFailed)"):
        send()


def test_a_property_needs_a_name_and_a_value_that_a_header_can_hold() -> None:
    to = Destination(40, 4096, queues.is_property, queues.legible, total=10_000)
    written = letter(
        fake.message({}, attributes={"ok": "1", "Content-Type": "2", "x-ms-a": "3", "a:b": "4"}), Reject(), to
    )
    assert {"ok"} == {name for name in written.attributes if not name.startswith("portable-fn-")}
