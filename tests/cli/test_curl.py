"""`portable-fn render --curl`: the command sends what the provider would."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from portable_fn.cli import main
from portable_fn.cli.curl import command
from portable_fn.cli.errors import Failure

Received = tuple[str, str, dict[str, str], bytes]


@contextmanager
def listening() -> Iterator[tuple[str, list[Received]]]:
    """A server on this machine, by its address, with the requests that it has got."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.append((self.command, self.path, headers, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("message", ["--to", "gcp", "-d", '{"it\'s": "a $HOME `x` \\"y\\" é"}']),
        ("message", ["--to", "gcp", "--via", "pubsub_push_unwrapped", "--body", "plain"]),
        ("schedule", ["--to", "gcp"]),
        ("change", ["--to", "gcp", "-d", '{"id": "1"}']),
        ("message", ["--to", "asgi", "-d", "1", "-d", "2"]),
        ("task", ["--to", "asgi", "-d", '{"n": 1}']),
        ("request", ["--to", "asgi", "-X", "PUT", "--path", "/a b?c=d&e", "-d", "x=1", "-H", "x-tenant: 7"]),
        ("request", ["--to", "azure", "-X", "POST", "--json", "[1]"]),
        ("request", ["--to", "cloudflare"]),
    ],
)
def test_curl_sends_the_request_that_the_provider_sends(
    kind: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["render", kind, *options])
    rendered = json.loads(capsys.readouterr().out)
    with listening() as (address, received):
        assert 0 == main(["render", kind, *options, "--curl", "--url", address])
        line = capsys.readouterr().out
        variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        subprocess.run(["sh", "-ec", line], check=True, capture_output=True, env=variables, timeout=30)

    for wanted, (method, path, headers, body) in zip(
        rendered if isinstance(rendered, list) else [rendered], received, strict=True
    ):
        assert wanted["method"] == method
        assert wanted["url"].endswith(path)
        told = {name: value for name, value in wanted["headers"].items() if name not in _CONNECTION}
        assert told == {name: value for name, value in headers.items() if name in told}
        assert ("content-type" in told) == ("content-type" in headers)
        if "body_base64" not in wanted:
            assert wanted.get("body", "").encode() == body
        else:
            assert body


_CONNECTION = ("host", "content-length", "x-forwarded-for", "x-forwarded-proto")


def test_lambda_gets_the_payload_by_its_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    main(["render", "message", "-d", '{"it\'s": 1}', "--to", "aws", "--via", "sqs"])
    rendered = json.loads(capsys.readouterr().out)
    main(["render", "message", "-d", '{"it\'s": 1}', "--to", "aws", "--via", "sqs", "--curl"])

    words = shlex.split(capsys.readouterr().out)
    assert ["curl", "http://localhost:9000/2015-03-31/functions/function/invocations", "--data-binary"] == words[:3]
    assert rendered == json.loads(words[3])


def test_wrangler_has_an_address_for_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    main(["render", "schedule", "-f", "cron=0 3 * * *", "--to", "cloudflare", "--curl"])

    assert (
        "curl 'http://localhost:8787/cdn-cgi/local/scheduled?cron=0%203%20%2A%20%2A%20%2A'\n" == capsys.readouterr().out
    )


@pytest.mark.parametrize(("kind", "to"), [("message", "azure"), ("message", "cloudflare"), ("task", "cloudflare")])
def test_an_event_that_only_a_service_sends_is_an_error(kind: str, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["render", kind, "--to", to, "--curl"])
    assert f"portable-fn: {to} gets this event only from its service" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--url", "http://x"], ["--curl", "--url", "localhost:8000"]])
def test_an_unusable_address_is_an_error(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["render", "request", *options])
    assert "--url" in capsys.readouterr().err


def test_a_head_request_does_not_wait_for_a_body() -> None:
    payload: dict[str, Any] = {"method": "HEAD", "url": "http://x/a", "headers": {"x-empty": ""}}
    assert "curl --head http://localhost:8000/a -H 'x-empty;'" == command(payload, "asgi", None)
    with pytest.raises(Failure):
        command([], "cloudflare", None)
