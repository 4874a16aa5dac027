"""Responses and outcomes as AWS's services take them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from portable_fn import (
    EncodeError,
    Reject,
    Response,
    Retry,
)
from portable_fn.cookies import Cookie
from portable_fn.outcomes import Done, Outcome
from portable_fn_aws import encode
from portable_fn_aws.events import encode as encode_events
from tests.aws.samples import (
    ALB,
    ALB_MULTI,
    BUS,
    DYNAMODB,
    DYNAMODB_2,
    DYNAMODB_BARE,
    EVENTS,
    HTTP_API,
    INPUT,
    KAFKA,
    KAFKA_4,
    KINESIS,
    KINESIS_2,
    KINESIS_BARE,
    KINESIS_PIPED,
    LATTICE_1,
    LATTICE_2,
    MQ,
    REST_API,
    S3,
    SES,
    SNS,
    SQS,
    SQS_3,
    SQS_BARE,
    TIME,
    WINDOWED,
    incoming,
    report,
    service_of,
)

COOKIE = Cookie("d", "2")
ANSWER = Response(
    201, [("X-A", "1"), ("x-a", "2"), ("set-cookie", "c=1"), ("content-type", "text/plain")], [COOKIE], b"caf\xc3\xa9"
)
BINARY = Response(200, [("x-a", "1")], (), b"\xff")
EMPTY = Response(204)

ANSWERS: list[tuple[Any, Response, dict[str, Any]]] = [
    (HTTP_API, ANSWER, {
        "statusCode": 201, "headers": {"x-a": "1, 2", "content-type": "text/plain"}, "cookies": ["c=1", str(COOKIE)],
        "body": "café", "isBase64Encoded": False,
    }),
    (HTTP_API, BINARY, {"statusCode": 200, "headers": {"x-a": "1"}, "body": "/w==", "isBase64Encoded": True}),
    (HTTP_API, Response(200, [("set-cookie", "c=1")]), {
        "statusCode": 200, "headers": {}, "cookies": ["c=1"], "body": "", "isBase64Encoded": False,
    }),
    (HTTP_API, EMPTY, {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}),
    (REST_API, ANSWER, {
        "statusCode": 201, "multiValueHeaders": {"x-a": ["1", "2"], "set-cookie": ["c=1", str(COOKIE)], "content-type": ["text/plain"]},
        "body": "café", "isBase64Encoded": False,
    }),
    (REST_API, BINARY, {"statusCode": 200, "multiValueHeaders": {"x-a": ["1"]}, "body": "/w==", "isBase64Encoded": True}),
    ({**ALB_MULTI, "multiValueHeaders": {}}, EMPTY, {
        "statusCode": 204, "multiValueHeaders": {}, "body": "", "isBase64Encoded": False,
    }),
    (ALB, ANSWER, {
        "statusCode": 201, "headers": {"x-a": "1", "X-a": "2", "set-cookie": "c=1", "content-type": "text/plain", "Set-cookie": str(COOKIE)},
        "body": "café", "isBase64Encoded": False,
    }),
    (ALB, BINARY, {"statusCode": 200, "headers": {"x-a": "1"}, "body": "/w==", "isBase64Encoded": True}),
    (LATTICE_1, EMPTY, {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}),
    (LATTICE_2, EMPTY, {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}),
    (ALB, Response(200, [("a1", str(number)) for number in range(4)]), {
        "statusCode": 200, "headers": {"a1": "0, 2, 3", "A1": "1"}, "body": "", "isBase64Encoded": False,
    }),
    (ALB, Response(200, [("abc", str(number)) for number in range(8)]), {
        "statusCode": 200, "body": "", "isBase64Encoded": False,
        "headers": {"abc": "0", "Abc": "1", "aBc": "2", "ABc": "3", "abC": "4", "AbC": "5", "aBC": "6", "ABC": "7"},
    }),
]  # fmt: skip


@pytest.mark.parametrize(("native", "response", "expected"), ANSWERS)
def test_a_response_is_encoded_for_its_service(native: Any, response: Response, expected: dict[str, Any]) -> None:
    before = list(response.headers.multi_items())
    assert expected == encode.encoder(service_of(native), native)(response)
    assert before == list(response.headers.multi_items())


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"content-type": "application/json"}, b"{}", ("{}", False)),
        ({"content-type": "Application/Problem+JSON ; charset=utf-8"}, b"{}", ("{}", False)),
        ({"content-type": "application/atom+xml; q=1"}, b"<a/>", ("<a/>", False)),
        ({"content-type": "application/javascript;x"}, b"1", ("1", False)),
        ({"content-type": "application/yaml"}, b"a: 1", ("a: 1", False)),
        ({"content-type": "TEXT/css"}, b"a", ("a", False)),
        ({"content-type": "text/plain"}, b"\xff", ("/w==", True)),
        ({"content-type": "text/plain", "content-encoding": "gzip"}, b"a", ("YQ==", True)),
        ({"content-type": "image/png"}, b"a", ("YQ==", True)),
        ({}, b"a", ("YQ==", True)),
        ({"content-type": "text/plain"}, iter([b"a"]), ("", False)),
    ],
)
def test_a_body_is_sent_as_text_or_base64(headers: dict[str, str], body: Any, expected: tuple[str, bool]) -> None:
    for native in (HTTP_API, REST_API, ALB):
        answer: Any = encode.encoder(service_of(native), native)(Response(200, headers, (), body))
        assert expected == (answer["body"], answer["isBase64Encoded"])


class Broken(Exception):
    pass


class Stop(BaseException):
    pass


def failed(error: BaseException | None = None) -> Retry:
    retry = Retry("again")
    retry.error = error
    return retry


OK, FAILED, WHY = Done(), failed(Broken("why")), Broken("why")


ENCODED: list[tuple[Any, list[Outcome], Any]] = [
    (SQS_3, [OK, OK, OK], report()),
    (SQS_3, [Done("a result"), OK, OK], report()),
    (SQS_3, [FAILED, OK, Retry()], report("m-1", "m-3")),
    (KINESIS_2, [OK, FAILED], report("4955")),
    ([KINESIS_PIPED, KINESIS_PIPED], [FAILED, OK], report("4954")),
    ({"Records": [KINESIS, KINESIS_BARE, KINESIS]}, [OK, FAILED, FAILED], report("4955")),
    (DYNAMODB_2, [OK, FAILED], report("112")),
    ({"Records": [DYNAMODB, DYNAMODB_BARE, DYNAMODB]}, [OK, FAILED, FAILED], report("112")),
    (KAFKA_4, [OK, OK, OK, OK], report()),
    (KAFKA_4, [OK, FAILED, OK, FAILED], report({"partition": "logs-2", "offset": 16}, {"partition": "logs-3", "offset": 1})),
    (KAFKA_4, [FAILED, FAILED, FAILED, OK], report({"partition": "logs-2", "offset": 15}, {"partition": "logs-3", "offset": 0})),
    (WINDOWED, [OK, OK], {**report(), "state": {"n": "1"}}),
    (WINDOWED, [OK, FAILED], {**report("4955"), "state": {"n": "1"}}),
    ({"Records": [SNS]}, [OK], None),
    ({"Records": [SNS, SNS]}, [Done(1), Done(2)], None),
    ({"Records": [S3]}, [Done(1)], None),
    ({"Records": [SES]}, [Done({"disposition": "STOP_RULE"})], {"disposition": "STOP_RULE"}),
    ({"Records": [SES]}, [OK], None),
    ({"Records": [SES, SES]}, [Done(1), Done(2)], None),
    (MQ["activemq"][0], [Done(1), OK], None),
    (EVENTS["docdb"][0], [OK, OK, OK], None),
    (BUS, [Done(1)], None),
    ([SQS, SQS_BARE], [Done({"n": Decimal(1)}), OK], [{"n": "1"}, None]),
    ([SQS, SQS_BARE], [OK, OK], report()),
    ([SQS, SQS_BARE], [OK, FAILED], report("m-2")),
    (INPUT, [Done({"a": TIME})], {"a": "2023-11-14T22:13:20.123000+00:00"}),
    (INPUT, [Done(True)], True),
    (INPUT, [Done("text")], "text"),
    (INPUT, [OK], None),
]  # fmt: skip


@pytest.mark.parametrize(("native", "outcomes", "expected"), ENCODED)
def test_outcomes_are_encoded_for_their_source(native: Any, outcomes: list[Outcome], expected: Any) -> None:
    batch = incoming(native)
    assert expected == encode_events.acknowledge(batch, outcomes, reports=True)
    if all(outcome == OK for outcome in outcomes):
        assert expected == encode_events.acknowledge_all(batch)


UNNAMED = [{**SQS, "messageId": 7}, SQS_BARE]
RAISED: list[tuple[Any, list[Outcome], bool]] = [
    (SQS_3, [FAILED, failed(Broken("other")), failed(Broken("third"))], True),
    (SQS_3, [OK, FAILED, OK], False),
    ({"Records": UNNAMED}, [FAILED, OK], True),
    ({"Records": [{**SQS, "messageId": ""}, SQS]}, [FAILED, OK], True),
    ({"Records": [{"eventSource": "aws:sqs"}, SQS]}, [FAILED, OK], True),
    ({"Records": [SQS, 7]}, [OK, FAILED], True),
    ({"Records": [{**KINESIS, "kinesis": 7}, KINESIS]}, [FAILED, OK], True),
    ({"Records": [{**DYNAMODB, "dynamodb": None}, DYNAMODB]}, [FAILED, OK], True),
    ({**KAFKA_4, "records": {"a": [{**KAFKA, "offset": "one"}, KAFKA]}}, [FAILED, OK], True),
    ({"Records": [SNS, SNS]}, [OK, FAILED], True),
    (MQ["activemq"][0], [OK, FAILED], True),
    ([SQS, SQS_BARE], [Done(1), FAILED], True),
    ({"Records": [SES]}, [FAILED], True),
    (INPUT, [FAILED], True),
]  # fmt: skip


@pytest.mark.parametrize(("native", "outcomes", "reports"), RAISED)
def test_if_failed_records_cant_be_reported_the_first_handlers_error_is_raised(
    native: Any, outcomes: list[Outcome], reports: bool
) -> None:
    with pytest.raises(Broken, match="why"):
        encode_events.acknowledge(incoming(native), outcomes, reports=reports)


def test_a_failure_raises_the_handlers_error_or_else_the_outcome() -> None:
    retry, reject, stop = Retry("later"), Reject("never"), Stop("now", 2)
    outcomes: list[Outcome] = [failed(WHY), retry, reject]
    assert [WHY, retry, reject] == [encode_events.handler_error(outcome) for outcome in outcomes]
    error = encode_events.handler_error(failed(stop))
    assert ("Stop", ("now", 2), stop, True) == (
        type(error).__name__, error.args, error.__cause__, isinstance(error, Exception),
    )  # fmt: skip
    with pytest.raises(Reject, match="never"):
        encode_events.acknowledge(incoming(INPUT), [reject], reports=True)


@pytest.mark.parametrize("value", [{1: {2}, "a": object()}, float("nan"), [float("inf")]])
def test_a_result_that_json_cant_express_raises_an_error_that_names_its_type(value: Any) -> None:
    with pytest.raises(EncodeError, match=f"returned a {type(value).__name__} that can't be written as JSON"):
        encode_events.plain_json(value)


FIREHOSE = {"invocationId": "i", "records": [{"recordId": "1", "data": ""}, {"recordId": "2", "data": ""}]}
FINE, DROPPED = {"recordId": "1", "result": "Ok", "data": "YQ=="}, {"recordId": "2", "result": "Dropped"}


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([FINE, DROPPED], None),
        ([DROPPED, FINE], None),
        ([FINE, {"recordId": "2", "result": "ProcessingFailed"}], None),
        ("text", "the answer to Firehose needs {'records': [{'recordId'"),
        ([FINE, 7], "the answer to Firehose needs {'records': [{'recordId'"),
        ([FINE], "each recordId once: it sent 2, the answer has 1"),
        ([FINE, DROPPED, DROPPED], "each recordId once: it sent 2, the answer has 3"),
        ([FINE, FINE], "each recordId once"),
        ([FINE, {**DROPPED, "recordId": "3"}], "each recordId once"),
        ([FINE, {**DROPPED, "result": "dropped"}], "Ok, Dropped or ProcessingFailed, not 'dropped'"),
        ([{**FINE, "data": None}, DROPPED], "with the result Ok needs its data as base64"),
    ],
)
def test_an_answer_to_firehose_must_have_each_record(records: Any, words: str | None) -> None:
    outcomes = [Done({"records": records})]
    if words is None:
        assert {"records": records} == encode_events.acknowledge(incoming(FIREHOSE), outcomes, reports=True)
        return
    with pytest.raises(EncodeError) as caught:
        encode_events.acknowledge(incoming(FIREHOSE), outcomes, reports=True)
    assert words in str(caught.value)


def test_an_answer_to_firehose_may_be_empty_but_must_have_records_otherwise() -> None:
    assert None is encode_events.acknowledge(incoming(FIREHOSE), [OK], reports=True)
    for result in ("text", ["records"]):
        with pytest.raises(EncodeError, match="the answer to Firehose needs"):
            encode_events.acknowledge(incoming(FIREHOSE), [Done(result)], reports=True)
    with pytest.raises(EncodeError, match="it sent 0, the answer has 2"):
        encode_events.acknowledge(
            incoming({**FIREHOSE, "records": 7}), [Done({"records": [FINE, DROPPED]})], reports=True
        )
