"""MultiDict, headers, cookies and the trace context."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_fn import Cookie, Headers, MultiDict, MutableHeaders, Response
from portable_fn.cookies import parse_cookies
from portable_fn.pairs import parse_query, unquoted
from portable_fn.trace import parse_traceparent

pairs = st.lists(st.tuples(st.text(min_size=1), st.text()))
names = st.text(st.sampled_from("abcXYZ-09"), min_size=1, max_size=8).filter(str.isascii)
values = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f", exclude_categories=["Cc"])
)


@given(pairs)
def test_a_query_string_gives_back_the_pairs_that_made_it(given: list[tuple[str, str]]) -> None:
    text = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in given)
    assert tuple(given) == parse_query(text).multi_items()


@given(st.text(st.sampled_from("aé%2F+g0Cc\U0001f600"), max_size=12))
def test_percent_decoding_is_the_standard_librarys(text: str) -> None:
    assert unquote(text) == unquoted(text)


def test_pairs_give_the_first_value_and_every_value() -> None:
    query = MultiDict([("a", "1"), ("b", "2"), ("a", "3")])
    assert (query["a"], query.get_all("a"), list(query), len(query), "b" in query) == (
        "1",
        ["1", "3"],
        ["a", "b"],
        2,
        True,
    )
    assert query.get("missing") is None
    assert query.get_all("missing") == []
    assert dict(query) == {"a": "1", "b": "2"}


@given(st.lists(st.tuples(names, values)))
def test_headers_keep_every_value_of_a_name_in_order_whatever_its_case(lines: list[tuple[str, str]]) -> None:
    headers = Headers(lines)
    for name, _ in lines:
        assert [value for known, value in lines if known.lower() == name.lower()] == headers.get_all(name.upper())
        assert ", ".join(headers.get_all(name)) == headers[name] == headers.get(name)
    assert Headers(headers.multi_items()) == headers


def test_repeated_cookie_headers_are_one_list() -> None:
    assert Headers([("cookie", "a=1"), ("Cookie", "b=2")])["cookie"] == "a=1; b=2"


def test_a_cookie_that_was_changed_into_one_that_breaks_the_message_is_refused() -> None:
    cookie = Cookie("a", "1")
    cookie.value = "1\r\nx: y"
    for read in (lambda: Response(cookies=[cookie]).wire_headers(), lambda: Response(cookies=[cookie]).set_cookies):
        with pytest.raises(ValueError, match="set-cookie"):
            read()


def test_equal_header_values_are_all_kept() -> None:
    assert [("a", "1"), ("a", "1"), ("a", "1")] == list(Headers([("A", "1"), ("a", "1"), ("a", "1")]).multi_items())


def test_a_response_header_can_be_set_added_and_removed() -> None:
    headers = MutableHeaders({"A": "1"})
    headers["a"] = "2"
    headers.add("a", "3")
    assert headers.setdefault("A", "4") == "2, 3"
    assert headers.pop_all("a") == ["2", "3"]
    headers["b"] = "1"
    del headers["B"]
    assert len(headers) == 0


@pytest.mark.parametrize(
    ("name", "value"), [("a", "b\r\nc: d"), ("a", "b\0"), ("a b", "c"), ("", "c"), ("a:", "c"), ("é", "c")]
)
def test_a_header_that_would_break_the_message_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        MutableHeaders([(name, value)])


def test_a_cookie_is_written_with_all_its_attributes() -> None:
    expires = datetime(2030, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    cookie = Cookie(
        "a", "1", max_age=60, expires=expires, domain="example.com", path="/p", secure=True, http_only=True,
        same_site="None", partitioned=True,
    )  # fmt: skip
    assert str(cookie) == (
        "a=1; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Max-Age=60; Domain=example.com; Path=/p; Secure; HttpOnly; "
        "SameSite=None; Partitioned"
    )


@pytest.mark.parametrize(
    ("name", "value", "attributes"),
    [
        ("a b", "1", {}),
        ("", "1", {}),
        ("a", "1;2", {}),
        ("a", "é", {}),
        ("a", "1\r\n", {}),
        ("a", "1", {"same_site": "None"}),
        ("a", "1", {"max_age": "1\r\nX-Evil: 1"}),
        ("a", "1", {"max_age": 1.5}),
        ("a", "1", {"domain": ""}),
        ("a", "1", {"same_site": "lax"}),
        ("a", "1", {"partitioned": True}),
        ("a", "1", {"path": "/;x"}),
        ("a", "1", {"expires": datetime.fromisoformat("2030-01-01")}),
        ("__Host-a", "1", {"secure": True, "domain": "example.com"}),
        ("__Secure-a", "1", {}),
    ],
)
def test_a_cookie_that_browsers_would_drop_or_misread_is_refused(
    name: str, value: str, attributes: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="cookie"):
        Cookie(name, value, **attributes)  # type: ignore[arg-type]


def test_an_expired_cookie_is_in_the_past() -> None:
    expired = str(Cookie.expired("a", domain="example.com"))
    assert expired == "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Domain=example.com; Path=/"
    assert Cookie.expired("a").expires == datetime(1970, 1, 1, tzinfo=UTC)


def test_cookies_are_read_with_repeats_quotes_and_equals_signs() -> None:
    cookies = parse_cookies(['a=1; b="two"; c=x=y; a=3', "d="])
    assert cookies.multi_items() == (("a", "1"), ("b", "two"), ("c", "x=y"), ("a", "3"), ("d", ""))
    assert parse_cookies(["nonsense; =x; ;"]).multi_items() == ()


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_a_traceparent_is_read(flags: str, sampled: bool) -> None:
    trace = parse_traceparent(f"00-{TRACE[0]}-{TRACE[1]}-{flags}", "vendor=1")
    assert trace is not None
    assert (trace.trace_id, trace.span_id, trace.sampled, trace.state) == (*TRACE, sampled, "vendor=1")
    assert str(trace) == f"00-{TRACE[0]}-{TRACE[1]}-{'01' if sampled else '00'}"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "nonsense",
        f"00-{'0' * 32}-{TRACE[1]}-01",
        f"00-{TRACE[0]}-{'0' * 16}-01",
        f"ff-{TRACE[0]}-{TRACE[1]}-01",
        f"00-{TRACE[0].upper()}-{TRACE[1]}-01",
        f"00-{TRACE[0]}-{TRACE[1]}-01-more",
        f"00-{TRACE[0]}-{TRACE[1]}-x1",
        f"00-{TRACE[0]}-{TRACE[1]}",
    ],
)
def test_a_malformed_traceparent_is_ignored(value: str | None) -> None:
    assert parse_traceparent(value) is None


def test_a_later_version_of_traceparent_may_say_more() -> None:
    trace = parse_traceparent(f"01-{TRACE[0]}-{TRACE[1]}-01-more")
    assert trace is not None
    assert trace.trace_id == TRACE[0]
