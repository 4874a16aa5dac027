"""Redact the secrets of a payload, and nothing else."""

from __future__ import annotations

import gzip
import json
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Any

import pytest

from portable_fn.recording.redaction import MAX_INFLATED, REDACTED, redacted

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
FUNCTION_KEY = "Zk3vN8p0qRsT1uVwXyZ2aBcDeFgHiJkL4mN5oPqRsAzFu9d=="


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def form(value: str) -> str:
    return (
        '--b1\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        f'--b1\r\nContent-Disposition: form-data; name="password"\r\n\r\n{value}\r\n--b1--\r\n'
    )


# Each value with its redaction, grouped by how the secret is recognised.
GOES: list[tuple[Any, Any]] = [
    # names
    ({"password": "a"}, {"password": "REDACTED"}),
    ({"userPassword": ["a", "b"]}, {"userPassword": ["REDACTED", "REDACTED"]}),
    ({"password": {"N": "12"}}, {"password": {"N": "0"}}),
    ({"password1": "a", "passwd": "a", "pwd": "a"}, {"password1": "REDACTED", "passwd": "REDACTED", "pwd": "REDACTED"}),
    ({"accessToken": "a", "tokenCount": 7}, {"accessToken": "REDACTED", "tokenCount": 7}),
    ({"APIKey": "a", "MY_API_KEY": "a"}, {"APIKey": "REDACTED", "MY_API_KEY": "REDACTED"}),
    ({"auth": "a", "x-auth": "a", "X-Auth-Key": "a"}, {"auth": "REDACTED", "x-auth": "REDACTED", "X-Auth-Key": "REDACTED"}),
    ({"dbpass": "a", "PGPASS": "a", "pass": "a"}, {"dbpass": "REDACTED", "PGPASS": "REDACTED", "pass": "REDACTED"}),
    ({"signing_key": "a", "masterKey": "a"}, {"signing_key": "REDACTED", "masterKey": "REDACTED"}),
    ({"session_id": "a", "sessionId": "a"}, {"session_id": "REDACTED", "sessionId": "REDACTED"}),
    ({"otpToken": 493021, "pin": 1234}, {"otpToken": 0, "pin": 0}),
    ({"code": FUNCTION_KEY}, {"code": "REDACTED"}),
    ({"jwt": "a"}, {"jwt": "REDACTED"}),
    ({"credentials": '{"user": "a", "n": 1}'}, {"credentials": '{"user": "REDACTED", "n": 0}'}),
    (
        {"attributes": {"token": {"stringValue": "a", "dataType": "String"}}},
        {"attributes": {"token": {"stringValue": "REDACTED", "dataType": "String"}}},
    ),
    ({"password": {"type": "hunter2"}}, {"password": {"type": "REDACTED"}}),
    (({"password": "a"},), [{"password": "REDACTED"}]),
    # names beside their values
    ({"Name": "/db/password", "Value": "a"}, {"Name": "/db/password", "Value": "REDACTED"}),
    ([{"key": "password", "value": "a"}], [{"key": "password", "value": "REDACTED"}]),
    (
        {"headers": {"cookie": [{"key": "Cookie", "value": "a=1"}]}},
        {"headers": {"cookie": [{"key": "Cookie", "value": "a=REDACTED"}]}},
    ),
    # keys
    ({JWT: 1, f"{JWT}A": 2}, {"REDACTED": 1, "REDACTED-1": 2}),
    ({"tokens": {FUNCTION_KEY: {"user": "a"}}}, {"tokens": {"REDACTED": {"user": "REDACTED"}}}),
    # headers
    ({"headers": {"Authorization": "Basic YTpi"}}, {"headers": {"Authorization": "Basic REDACTED"}}),
    ({"headers": {"authorization": "hunter2 x"}}, {"headers": {"authorization": "REDACTED"}}),
    ({"headers": {"x-api-key": ["a"]}}, {"headers": {"x-api-key": ["REDACTED"]}}),
    ({"headers": [["x-auth-token", "a"], ["x", "b"]]}, {"headers": [["x-auth-token", "REDACTED"], ["x", "b"]]}),
    ({"headers": [{"name": "X-Api-Key", "value": "a"}]}, {"headers": [{"name": "X-Api-Key", "value": "REDACTED"}]}),
    ({"headers": {"x-session": "a", "x-ms-client-principal": "a"}}, {"headers": {"x-session": "REDACTED", "x-ms-client-principal": "REDACTED"}}),
    # cookies
    ({"headers": {"Cookie": "a=1; b=2"}}, {"headers": {"Cookie": "a=REDACTED; b=REDACTED"}}),
    (
        {"multiValueHeaders": {"cookie": ["a=1; session=2; path=/x"]}},
        {"multiValueHeaders": {"cookie": ["a=REDACTED; session=REDACTED; path=REDACTED"]}},
    ),
    ({"headers": {"cookie": "hunter2"}}, {"headers": {"cookie": "REDACTED"}}),
    ({"cookies": ["a=1", "b=2; Path=/"]}, {"cookies": ["a=REDACTED", "b=REDACTED; Path=/"]}),
    (
        {"headers": {"set-cookie": "sid=1; Path=/; HttpOnly; left=2"}},
        {"headers": {"set-cookie": "sid=REDACTED; Path=/; HttpOnly; left=REDACTED"}},
    ),
    (
        {"headers": {"set-cookie": "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT, b=2; Path=/"}},
        {"headers": {"set-cookie": "a=REDACTED; Expires=Wed, 21 Oct 2026 07:28:00 GMT, b=REDACTED; Path=/"}},
    ),
    # addresses, queries and forms
    ("https://ada:pw@example.com/a?sig=b&page=1", "https://REDACTED:REDACTED@example.com/a?sig=REDACTED&page=1"),
    ("https://hunter2@example.com/x", "https://REDACTED@example.com/x"),
    ("postgres://u:ab/S@h/db", "postgres://REDACTED:REDACTED@h/db"),
    ("postgres://u:a@b@h:5432/db", "postgres://REDACTED:REDACTED@h:5432/db"),
    (f"https://a.azurewebsites.net/api/f?code={FUNCTION_KEY}&b=1", "https://a.azurewebsites.net/api/f?code=REDACTED&b=1"),
    ("/maps?key=Ab3Ab3Ab3Ab3Ab3Ab3Ab3", "/maps?key=REDACTED"),
    ({"queryStringParameters": {"key": "Ab3Ab3Ab3Ab3Ab3Ab3Ab3"}}, {"queryStringParameters": {"key": "REDACTED"}}),
    ("https://app/cb#access_token=S&state=1", "https://app/cb#access_token=REDACTED&state=1"),
    ("/go?next=https%3A%2F%2Fb%2F%3Ftoken%3DS&a=1", "/go?next=https%3A%2F%2Fb%2F%3Ftoken%3DREDACTED&a=1"),
    ("/go?next=https%3A%2F%2Fb%2F%3Fa%3D1%26sig=S", "/go?next=https%3A%2F%2Fb%2F%3Fa%3D1%26sig=REDACTED"),
    ("/go?next=%252Fb%253Ftoken%253DS", "/go?next=%252Fb%253Ftoken%253DREDACTED"),
    ("name=Ada&user%5Bpassword%5D=O'Brien,a+b", "name=Ada&user%5Bpassword%5D=REDACTED"),
    (form("a\n--b"), form("REDACTED")),
    ('form-data; name="password"\r\n\r\nS', 'form-data; name="password"\r\n\r\nREDACTED'),
    # connection strings
    ("Server=x;Password=a&S #;Database=b", "Server=x;Password=REDACTED;Database=b"),
    ("Password=a&S;Server=x", "Password=REDACTED;Server=x"),
    ("AccountName=x; Account Key=S==; a=b", "AccountName=x; Account Key=REDACTED; a=b"),
    # JSON in texts
    ('{"a": {"secret": "b"}}', '{"a": {"secret": "REDACTED"}}'),
    ('\ufeff\n {"password":"S"}\n', '\ufeff\n {"password":"REDACTED"}\n'),
    ('{"a":1}\n{"password":"S"}\r\n', '{"a":1}\n{"password":"REDACTED"}\r\n'),
    ('event: x\ndata: {"token":{"a":"S"}}\n\n', 'event: x\ndata: {"token":{"a":"REDACTED"}}\n\n'),
    (json.dumps('{"password":"S"}'), json.dumps('{"password":"REDACTED"}')),
    ('{"password":"S"', '{"password":"REDACTED"'),
    ('{"a": "{\\"password\\":\\"S', '{"a": "{\\"password\\":\\"REDACTED'),
    ('{"tokens":["S","T"', '{"tokens":[REDACTED'),
    ('{"a":{"password":"S"},"a":1}', '{"a":1}'),
    # base64
    (base64('{"token": "a"}'), base64('{"token": "REDACTED"}')),
    (urlsafe_b64encode(b'{"password":"???>>>>"}').decode().rstrip("="), base64('{"password":"REDACTED"}').rstrip("=")),
    (urlsafe_b64encode('{"a":"ÿÿÿ>>?","token":"S"}'.encode()).decode(), urlsafe_b64encode('{"a":"ÿÿÿ>>?","token":"REDACTED"}'.encode()).decode()),
    ("eyJwYXNzd29yZCI6\r\nICJodW50ZXIyIn0=\r\n", base64('{"password": "REDACTED"}')),
    ("data:a/json;base64," + base64('{"token":"S"}'), "data:a/json;base64," + base64('{"token":"REDACTED"}')),
    # known forms
    (f"bearer {JWT} and {JWT}", "bearer REDACTED and REDACTED"),
    (f"token: {JWT}", "token: REDACTED"),
    (f"a-{JWT}.iv.tag", "a-REDACTED"),
    ({"type": "Bearer hunter2"}, {"type": "Bearer REDACTED"}),
    ("AKIAABCDEFGHIJKLMNOP", "REDACTED"),
    ("ghp_0123456789abcdefABCDEF0123456789abcd", "REDACTED"),
    ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "REDACTED"),
    ({"key": "-----BEGIN RSA PRIVATE KEY-----\na\n-----END RSA PRIVATE KEY-----"}, {"key": "REDACTED"}),
    # prose, such as an exception's message
    ("wrong password: S", "wrong password: REDACTED"),
    ("password:hunter2", "password:REDACTED"),
    ("{'password': 'S', 'a': b'c'}", "{'password': 'REDACTED', 'a': b'c'}"),
    ("X-Api-Key: S", "X-Api-Key: REDACTED"),
    ("Cookie: a=1; b=2\nHost: x", "Cookie: REDACTED\nHost: x"),
    ("Authorization: hunter2 x", "Authorization: REDACTED"),
    ("PASSWORD = S", "PASSWORD = REDACTED"),
    ('password="S&S"', 'password="REDACTED"'),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = REDACTED"),
    ("Bearer%20hunter2", "Bearer%20REDACTED"),
    ("<a><password>S</password><b>c</b></a>", "<a><password>REDACTED</password><b>c</b></a>"),
    ('<wsse:Password Type="x"><![CDATA[S<]]></wsse:Password>', '<wsse:Password Type="x"><![CDATA[REDACTED]]></wsse:Password>'),
]  # fmt: skip

# Values that look a little like secrets.
STAYS: list[Any] = [
    None,
    True,
    1.5,
    "",
    "plain text",
    [],
    {"secretary": "Ada", "tokenize": "yes", "compass": "N", "bypass": "a", "author": "Ada", "pinned": True, "spin": "fast"},
    {"nextPageToken": "a", "next_token": "a", "continuationToken": "a", "lockToken": "a", "LockTokenArray": ["a"]},
    {"authorizationStatus": "ok", "token_type": "Bearer", "signatureVersion": "1", "passwordExpiresAt": "a", "auth_time": 7},
    {"code": "A1", "countryCode": "NL", "statusCode": 200, "pin": "A4", "pinCode": "1012", "pass": 3},
    {"code": "ConditionalCheckFailedException"},
    {"tokens": 7, "max_tokens": 100, "tokenCount": 7, "password": None, "secret": True},
    {"partitionKey": "a", "key": "uploads/2026/a1b2c3d4e5f6a7b8c9.png", "eTag": "c", "primaryKey": "d"},
    {"authorizer": {"jwt": {"claims": {"sub": "ada"}}}},
    {"metadata": {"SessionId": {"string": "customer-1"}, "SessionIdArray": {"json": "[]"}}},
    [{"message_id": "1", "session_id": "customer-1", "delivery_count": 0}],
    {"headers": {"metadata.sessionid": "customer-1", "content-type": "a/b"}},
    {"name": "colour", "value": "red"},
    {"pass-type": "day", "type": "Basic"},
    '{"a":1}',
    '{"a": 1.10, "a ": "\\u00e9"}',
    base64('{"a":1}'),
    b64encode(b"\x89PNG\r\n\x1a\n password=a \xff").decode(),
    "abcdefgh",
    "a=1&page=2&key=lamp&code=A1&b=%3D%26",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-a1B2c3",
    "orders:read password:reset",
    "The Basic plan, with no bearer token",
    "https://example.com:8080/@ada/x?email=a@b",
    "https://[::1]:80/@a",
    'Bearer realm="shop", error="invalid_token"',
    "if password == other:",
    "sk-circle-fade-dot-animation",
    "2026-01-02T03:04:05Z www.example.com 1.2.3.4.5",
    "--- a\n\n--- b",
    '<input type="password"/><a href="x?page=1">b</a>',
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), GOES)
def test_secrets_are_replaced_and_the_shape_stays(value: Any, expected: Any) -> None:
    assert expected == redacted(value)
    assert expected == redacted(expected)


@pytest.mark.parametrize("value", STAYS)
def test_other_values_stay(value: Any) -> None:
    assert value == redacted(value)


def packed(octets: bytes) -> str:
    return b64encode(gzip.compress(octets, mtime=0)).decode()


def test_secrets_in_gzip_are_replaced() -> None:
    value = {"awslogs": {"data": packed(b'{"logEvents": [{"message": "{\\"secret\\": \\"hunter2\\"}"}]}')}}
    text = gzip.decompress(b64decode(redacted(value)["awslogs"]["data"])).decode()
    assert '{"logEvents": [{"message": "{\\"secret\\": \\"REDACTED\\"}"}]}' == text


def test_a_form_with_a_file_loses_its_password_and_keeps_the_file() -> None:
    file = b'--b1\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n\xff\xfe\r\n'
    result = b64decode(redacted(b64encode(file + form("hunter2").encode()).decode()))
    assert file + form("REDACTED").encode() == result


def rounds(count: int) -> str:
    text = '{"password":"hunter2"}'
    for _ in range(count):
        text = base64(json.dumps({"a": text}))
    return text


def unpacked(text: str) -> str:
    while text.startswith("ey"):
        text = json.loads(b64decode(text))["a"]
    return text


def nested(depth: int) -> Any:
    value: Any = {"password": "hunter2"}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [(rounds(3), '{"password":"REDACTED"}'), (rounds(4), "REDACTED"), (rounds(9), base64("REDACTED"))],
)
def test_a_text_nested_in_too_many_texts_is_replaced_as_a_whole(text: str, expected: str) -> None:
    assert expected == unpacked(redacted(text))


@pytest.mark.parametrize("value", [nested(300), "[" * 100_000 + "]" * 100_000, json.dumps(nested(300))])
def test_values_nested_too_deeply_are_replaced(value: Any) -> None:
    result = json.dumps(redacted(value))
    assert ("hunter2" in result, "REDACTED" in result) == (False, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (packed(bytes(MAX_INFLATED + 1)), "REDACTED"),
        ([packed(bytes(MAX_INFLATED // 2))] * 3, [packed(bytes(MAX_INFLATED // 2))] * 2 + ["REDACTED"]),
        (b64encode(gzip.compress(b'{"password": "hunter2"}', mtime=0)[:-9]).decode(), "REDACTED"),
    ],
)
def test_gzip_that_is_too_large_or_incomplete_is_replaced_as_a_whole(value: Any, expected: Any) -> None:
    assert expected == redacted(value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        "-eyJaaaaa", "eyJaaaaa.", "a.", "a-", "password", "password:", "password=", "password='", "token=a,", 'a="', "\\", '\\"',
        "%25", "%3D", "://a:b/", "://", "<a ", "<password>", "<![CDATA[", "-----BEGIN PRIVATE KEY-----", "Bearer ", "Basic a",
        "Basic    ", "form-data;", "form-data; name=a\n\n", "\n--", "--a\ncontent-", "data:{", ";base64,", "sk-", "sk-0123456789abcdef.",
        "{", '{"a":', "[[", " key", "a ", ";a=", "set-cookie: a=b, ", "\n\n", "ghp_", "AKIA",
    ],
)  # fmt: skip
def test_the_time_is_linear_in_the_length_of_a_text(part: str) -> None:
    text = part * (200_000 // len(part))
    start = time.process_time()
    redacted({"body": text, "set-cookie": text, "password": text, text: 1})
    assert time.process_time() - start < 10


HEX = "0123456789abcdef"
LONG = "a1B2" * 12


@pytest.mark.parametrize(
    "name",
    ["pw", "db_pw", "DB_PW", "creds", "awsCreds", "privkey", "privateKey", "signing_key", "mnemonic", "seedPhrase"],
)
def test_a_value_of_a_secret_s_name_is_replaced(name: str) -> None:
    assert {name: REDACTED} == redacted({name: "hunter2 and more"})
    assert f"{name}: {REDACTED}" == redacted(f"{name}: hunter2")


def test_a_seed_is_a_secret_unless_it_is_a_number() -> None:
    words = "witch collapse practice feed shame open despair creek road again ice least"

    assert {"seed": REDACTED} == redacted({"seed": words})
    assert {"seed": 42, "seeds": "42"} == redacted({"seed": 42, "seeds": "42"})


def test_a_session_is_a_secret_if_its_value_looks_like_one() -> None:
    assert {"session": REDACTED, "sessions": [REDACTED]} == redacted({"session": LONG, "sessions": [LONG]})
    assert {"session": "spring term"} == redacted({"session": "spring term"})


@pytest.mark.parametrize(
    "secret",
    [
        f"hvs.{LONG}", f"shpat_{HEX}{HEX}", f"dapi{HEX}{HEX}", f"NRAK-{LONG.upper()}", f"PMAK-{HEX}-{HEX}{HEX}",
        f"lin_api_{LONG}", f"GOCSPX-{LONG}", f"dop_v1_{HEX}{HEX}{HEX}{HEX}", f"AGE-SECRET-KEY-1{LONG.upper()}",
        f"123456789:AAE{'x' * 32}", f"xapp-1-{LONG}", f"dckr_pat_{LONG}", f"glsa_{LONG}", f"sntrys_{LONG}",
    ],
)  # fmt: skip
def test_a_secret_of_a_known_form_is_replaced_anywhere(secret: str) -> None:
    assert {"note": REDACTED} == redacted({"note": secret})
    assert f"it is {REDACTED}, they say" == redacted(f"it is {secret}, they say")


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://hooks.slack.com/services/T0/B0/xyz", f"https://hooks.slack.com/services/{REDACTED}"),
        ("https://discord.com/api/webhooks/12/a-b_c", f"https://discord.com/api/webhooks/12/{REDACTED}"),
        (f"https://api.telegram.org/bot123456789:AAE{'x' * 32}/send", f"https://api.telegram.org/bot{REDACTED}/send"),
        ("https://example.com/?key=abc123def4567", f"https://example.com/?key={REDACTED}"),
        ("https://example.com/?a=1&key=photos/2024.png", "https://example.com/?a=1&key=photos/2024.png"),
    ],
)
def test_a_webhook_address_loses_its_secret_part(address: str, kept: str) -> None:
    assert kept == redacted(address)
