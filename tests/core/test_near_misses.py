"""Other providers' names and misspelt names lead to the right names."""

from __future__ import annotations

import pytest

from portable_fn import on
from portable_fn.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sqs", "on has no 'sqs': it is on.queue(…) here"),
        ("sns", "on has no 'sns': it is on.topic(…) here"),
        ("kinesis", "on has no 'kinesis': it is on.stream(…) here"),
        ("s3", "on has no 's3': it is on.object(…) here"),
        ("dynamodb", "on has no 'dynamodb': it is on.change(…) here"),
        ("cron", "on has no 'cron': it is on.schedule(…) here"),
        ("get", "on has no 'get': it is on.http(\"GET\", …) here"),
        ("quue", "on has no 'quue' (is it 'queue'?)"),
        ("nothing_like_it", "on has no 'nothing_like_it'"),
    ],
)
def test_on_suggests_the_triggers_name(name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(on, name)
    assert hint == str(caught.value)


@pytest.mark.parametrize(("method", "meant"), [("GTE", "GET"), ("PSOT", "POST"), ("DELET", "DELETE"), ("brew", "")])
def test_a_mistyped_method_is_refused(method: str, meant: str) -> None:
    if not meant:
        assert (method.upper(),) == on.http(method, "/").methods
        return
    with pytest.raises(ConfigurationError, match=f"{method!r} is not an HTTP method: is it {meant!r}"):
        on.http(method, "/")


@pytest.mark.parametrize("method", ["PURGE", "PROPFIND", "REPORT", "QUERY", "BREW"])
def test_a_method_of_one_s_own_is_taken(method: str) -> None:
    assert (method,) == on.http(method, "/").methods
