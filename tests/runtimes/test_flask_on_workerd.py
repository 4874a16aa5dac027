"""Flask in real workerd, by `wsgi_app`: Python there has no threads."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.runtimes.cloudflare import workerd
from tests.runtimes.environments import ROOT, Unavailable
from tests.runtimes.wire import send

pytestmark = pytest.mark.runtime

WORKER = """
import threading
import flask
from portable_fn import wsgi_app
from portable_fn_cloudflare import entry

shop = flask.Flask("shop")

@shop.get("/hello/<name>")
def hello(name):
    answer = flask.jsonify(hello=name, query=flask.request.args.getlist("q"), threads=threading.active_count())
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    return answer

@shop.post("/mirror")
def mirror():
    return flask.Response(flask.request.get_data(), content_type="image/png")

@shop.get("/stream")
def stream():
    return flask.Response((b"%d," % number for number in range(3)), content_type="text/plain")

@shop.get("/crash")
def crash():
    raise ZeroDivisionError("a-secret-detail")

Default = entry(wsgi_app(shop))
"""
PACKAGES = ("flask", "werkzeug", "jinja2", "markupsafe", "click", "itsdangerous", "blinker")


def installed(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def test_flask_answers_on_workerd(tmp_path: Path) -> None:
    main = tmp_path / "entry.py"
    main.write_text(WORKER)
    own = [ROOT / "src" / "portable_fn", ROOT / "adapters" / "portable_fn_cloudflare"]
    try:
        with workerd(main, packages=[*own, *map(installed, PACKAGES)]) as worker:
            hello = send(worker.url, "GET", "/hello/Zo%C3%AB?q=1&q=2", [], None)
            mirror = send(worker.url, "POST", "/mirror", [("content-type", "image/png")], bytes(range(256)))
            stream = send(worker.url, "GET", "/stream", [], None)
            crash = send(worker.url, "GET", "/crash", [], None)
    except Unavailable as exc:
        pytest.skip(str(exc))

    assert (200, {"hello": "Zoë", "query": ["1", "2"], "threads": 1}) == (hello.status, json.loads(hello.body))
    cookies = [value.partition(";")[0] for name, value in hello.headers if name.lower() == "set-cookie"]
    assert ["a=1", "b=2"] == cookies
    assert (200, bytes(range(256))) == (mirror.status, mirror.body)
    assert b"0,1,2," == stream.body
    assert (500, False) == (crash.status, b"a-secret-detail" in crash.body)
