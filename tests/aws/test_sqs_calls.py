"""Call SQS without an SDK: delays and dead letters."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from portable_fn import (
    Event,
    Message,
    Reject,
    Retry,
    on,
    portable,
)
from portable_fn.adapter.cloudevents import write_time
from portable_fn.testing import fake
from portable_fn_aws.drivers import api
from portable_fn_aws.drivers import queue as sqs
from portable_fn_aws.simulate import payloads
from portable_fn_aws.simulate.messages import sqs_record
from tests.aws.calls import invoke, records


def test_the_signature_equals_awss_example() -> None:
    # The case post-vanilla of https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    ) == api.authorization("POST", "/", headers, b"", "AKIDEXAMPLE", secret, "us-east-1", "service")


def test_the_signature_equals_botocores() -> None:
    auth, awsrequest, credentials = (
        pytest.importorskip(f"botocore.{name}") for name in ("auth", "awsrequest", "credentials")
    )
    body = '{"QueueUrl":"ü"}'.encode()
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage", "host": "sqs.eu-central-1.amazonaws.com"}  # fmt: skip
    request = awsrequest.AWSRequest("POST", "https://sqs.eu-central-1.amazonaws.com/", headers=headers, data=body)
    auth.SigV4Auth(credentials.Credentials("key", "secret", "token"), "sqs", "eu-central-1").add_auth(request)
    signed = {name.lower(): str(value) for name, value in request.headers.items()}
    expected = signed.pop("authorization")
    assert "x-amz-security-token" in signed
    assert expected == api.authorization("POST", "/", signed, body, "key", "secret", "eu-central-1", "sqs")


class SQS(BaseHTTPRequestHandler):
    """An SQS over HTTP that records its requests."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.seen.append((self.headers, json.loads(body)))
        status, answer = server.answer
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        served = {"AccessKeyId": "served", "SecretAccessKey": "secret", "Token": self.headers["authorization"]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(served).encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def queue_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), SQS)
    server.seen, server.answer = [], (200, b"{}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{server.server_port}/", "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@portable(on.queue("orders", dead_letter="dead"))
def obeys(message: Message) -> None:
    match message.data:
        case {"after": after}:
            raise Retry("busy", after=after)
        case {"reject": why}:
            raise Reject(why)


def test_one_call_sets_the_delays_of_ten_retries(queue_api: Any) -> None:
    batch = [sqs_record(fake.message({"after": n * 0.5}, id=f"m-{n}")) for n in range(1, 12)] + records(99)
    answer = invoke(obeys, {"Records": batch})
    assert 11 == len(answer["batchItemFailures"])
    (headers, first), (_, second) = queue_api.seen
    assert "AmazonSQS.ChangeMessageVisibilityBatch" == headers["x-amz-target"]
    assert "token" == headers["x-amz-security-token"]
    assert "key/" in headers["authorization"] and "/eu-central-1/sqs/aws4_request" in headers["authorization"]
    assert (10, 1) == (len(first["Entries"]), len(second["Entries"]))
    assert {"Id": "0", "ReceiptHandle": "receipt of m-1", "VisibilityTimeout": 1} == first["Entries"][0]
    assert 6 == second["Entries"][0]["VisibilityTimeout"]


def test_a_refused_delay_is_logged_with_the_missing_permission(
    queue_api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    queue_api.answer = (403, b'{"__type":"com.amazon.coral.service#AccessDeniedException"}')
    answer = invoke(obeys, {"Records": [sqs_record(fake.message({"after": 30}, id="m-1")), *records(2)]})
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == answer
    assert (
        "refused with 403 AccessDeniedException; the function's role needs sqs:ChangeMessageVisibility on"
        in caplog.text
    )


def test_with_snapstart_credentials_are_fetched(queue_api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{queue_api.server_port}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "authorized")
    assert ("served", "secret", "authorized") == api.credentials()
    invoke(obeys, {"Records": [sqs_record(fake.message({"after": 30}, id="m-1")), *records(2)]})
    assert "Credential=served/" in queue_api.seen[0][0]["authorization"]


def test_without_credentials_or_an_answer_a_delay_is_only_logged(
    queue_api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batch = {"Records": [sqs_record(fake.message({"after": 30}, id="m-1")), *records(2)]}
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(obeys, batch)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(obeys, batch)
    assert "127.0.0.1:1 can't be reached: ConnectionRefusedError" in caplog.text
    assert "there are no credentials in the environment" in caplog.text


def test_a_delay_is_never_longer_than_sqs_can_wait(queue_api: Any) -> None:
    with pytest.raises(Retry):
        invoke(obeys, {"Records": [sqs_record(fake.message({"after": 1e6}))]})
    assert 42300 == queue_api.seen[0][1]["Entries"][0]["VisibilityTimeout"]


def test_a_dead_letter_has_the_whole_rejected_message(queue_api: Any) -> None:
    attributes: dict[str, str | bytes] = {"tenant": "7", "raw": b"\xff"}
    sent = fake.message({"reject": "unknown sku"}, id="m-1", attributes=attributes)
    assert {"batchItemFailures": []} == invoke(obeys, payloads([sent], "sqs")[0])
    ((headers, request),) = queue_api.seen
    assert "AmazonSQS.SendMessage" == headers["x-amz-target"]
    assert f"http://127.0.0.1:{queue_api.server_port}/123456789012/dead" == request["QueueUrl"]
    assert '{"reject":"unknown sku"}' == request["MessageBody"]
    assert {
        "tenant": {"DataType": "String", "StringValue": "7"},
        "raw": {"DataType": "Binary", "BinaryValue": "/w=="},
        "portable-fn-reason": {"DataType": "String", "StringValue": "unknown sku"},
        "portable-fn-source": {"DataType": "String", "StringValue": "arn:aws:sqs:eu-central-1:123456789012:orders"},
        "portable-fn-id": {"DataType": "String", "StringValue": "m-1"},
        "portable-fn-attempt": {"DataType": "String", "StringValue": "1"},
        "portable-fn-time": {"DataType": "String", "StringValue": write_time(sent.time)},
    } == request["MessageAttributes"]


def test_a_fifo_dead_letter_keeps_the_group_and_is_sent_once(queue_api: Any) -> None:
    @portable(on.queue("orders.fifo", dead_letter="arn:aws:sqs:us-west-2:999999999999:dead.fifo"))
    def rejects(message: Message) -> None:
        raise Reject("no")

    assert {"batchItemFailures": []} == invoke(rejects, payloads([fake.message({}, id="m-1", key="g")], "sqs_fifo")[0])
    ((headers, request),) = queue_api.seen
    expected = "g", sha256(b"arn:aws:sqs:eu-central-1:123456789012:orders.fifo m-1").hexdigest()
    assert expected == (request["MessageGroupId"], request["MessageDeduplicationId"])
    assert request["QueueUrl"].endswith("/999999999999/dead.fifo") and "/us-west-2/sqs/" in headers["authorization"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "event", "body"),
    [
        ("kinesis", fake.message(body=b"\xff\x00", id="s:1", content_type=""), "/wA="),
        ("sns", fake.message({"n": 1}), '{"n":1}'),
        ("dynamodb", fake.change(after={"id": "1"}), None),
        ("s3", fake.object(), None),
    ],
)
def test_every_source_has_dead_letters(queue_api: Any, service: str, event: Event[Any], body: str | None) -> None:
    @portable(
        on.queue("orders", dead_letter="dead"),
        on.object("uploads", dead_letter="dead"),
        on.change("users", dead_letter="dead"),
    )
    def rejects(event: Event) -> None:
        raise Reject("no")

    native = payloads([event], service)[0]
    assert invoke(rejects, native) in (None, {"batchItemFailures": []})
    ((_, request),) = queue_api.seen
    if body is None:
        letter = json.loads(request["MessageBody"])
        kind = "change.inserted" if service == "dynamodb" else "object.created"
        assert (f"portable_fn.{kind}", "no") == (letter["type"], letter["portablefnreason"])
    else:
        assert body == request["MessageBody"]


def test_a_message_is_retried_if_its_dead_letter_cant_be_sent(queue_api: Any) -> None:
    queue_api.answer = (400, b"{}")
    batch = [sqs_record(fake.message({"reject": "no"}, id="m-1")), *records(2)]
    assert {"batchItemFailures": [{"itemIdentifier": "m-1"}]} == invoke(obeys, {"Records": batch})


@pytest.mark.parametrize(
    ("queue", "owner", "url", "region"),
    [
        ("dead", "arn:aws:lambda:eu-west-1:1:function:f", "https://sqs.eu-west-1.amazonaws.com/1/dead", "eu-west-1"),
        ("dead", "arn:aws-cn:lambda:cn-north-1:1:function:f", "https://sqs.cn-north-1.amazonaws.com.cn/1/dead", "cn-north-1"),
        ("arn:aws:sqs:us-east-2:2:q", "arn:aws:lambda:eu-west-1:1:function:f", "https://sqs.us-east-2.amazonaws.com/2/q", "us-east-2"),
        ("https://sqs.eu-west-3.amazonaws.com/3/q", "", "https://sqs.eu-west-3.amazonaws.com/3/q", "eu-west-3"),
    ],
)  # fmt: skip
def test_a_queue_is_found_by_name_arn_or_url(
    monkeypatch: pytest.MonkeyPatch, queue: str, owner: str, url: str, region: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert (url, region) == sqs.queue_url(queue, owner)
