"""Real workerd, Cloudflare's runtime, with a Worker in Python 3.14."""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.runtimes.environments import CACHE, Unavailable, npm, vendored
from tests.runtimes.process import Server, free_ports, serving
from tests.runtimes.pyodide_bundle import bundle
from tests.runtimes.wire import send

COMPATIBILITY_DATE: Final = "2026-09-08"  # the first with Python 3.14
WHEELS: Final = (
    *("--python-version", "3.14", "--implementation", "cp", "--abi", "cp314"),
    *("--platform", "pyemscripten_2026_0_wasm32"),
)
FLAGS: Final = ("python_workers", "python_workers_development")
BUILT_IN_SDK: Final = ("disable_python_external_sdk",)
SDK: Final = ("workers", "asgi.py", "_workers_sdk", "_cloudflare_compat_flags", "_pyodide_entrypoint_helper")
PYDANTIC: Final = ("annotated_types", "pydantic", "typing_extensions", "typing_inspection")

# Requests with these headers have their value as `request.cf`, and as the scheme of `request.url`.
CF_HEADER: Final = "CF-Blob"
SCHEME_HEADER: Final = "X-Forwarded-Proto"

# The events that don't come by HTTP, from another Worker in the same workerd, to which the Worker's queues send too.
# An email is an RPC with a plain object, as wrangler dev brings it (miniflare's src/workers/core/email.ts).
EVENTS: Final = """
const revive = (_, value) =>
  value?.$bytes !== undefined ? Uint8Array.from(atob(value.$bytes), (char) => char.charCodeAt(0))
  : value?.$date !== undefined ? new Date(value.$date)
  : value?.$bigint !== undefined ? BigInt(value.$bigint)
  : value?.$map !== undefined ? new Map(value.$map)
  : value?.$set !== undefined ? new Set(value.$set)
  : value?.$js !== undefined ? MADE[value.$js]()
  : value;

const MADE = {
  undefined: () => ({ there: 1, absent: undefined }),
  circle: () => { const circle = { name: "circle" }; circle.self = circle; return circle; },
  deep: () => { let deep = []; for (let level = 0; level < 400; level++) deep = [deep]; return deep; },
  laughs: () => { let laughs = ["ha"]; for (let level = 0; level < 40; level++) laughs = [laughs, laughs]; return laughs; },
  numbers: () => [1, NaN],
  whole: () => [2 ** 53, 1e300, -0, 1.5, -3],
  keys: () => new Map([[1, "a"], ["1", "b"]]),
  regexp: () => /a/,
  error: () => new RangeError("no"),
};

const sent = [];

async function email(worker, { from, to, headers, raw }) {
  let rejected = null;
  await worker.email({
    from, to, rawSize: raw.length, raw: new Response(raw).body, headers: new Headers(headers),
    setReject(reason) { rejected = reason; },
  });
  return { rejected };
}

export default {
  async fetch(request, env) {
    if (request.headers.has("X-Msg-Fmt")) {
      const body = btoa(String.fromCharCode(...new Uint8Array(await request.arrayBuffer())));
      sent.push({ format: request.headers.get("X-Msg-Fmt"), body });
      const metrics = { backlogCount: 0, backlogBytes: 0, oldestMessageTimestamp: 0 };
      return Response.json({ metadata: { metrics } });
    }
    const { method, args } = JSON.parse(await request.text(), revive);
    if (method === "$sent") return Response.json(sent.splice(0));
    try {
      const result = method === "email" ? await email(env.WORKER, ...args) : await env.WORKER[method](...args);
      return Response.json(result === undefined ? null : result);
    } catch (error) {
      return Response.json({ name: error.name, message: error.message, stack: error.stack }, { status: 500 });
    }
  },
};
"""

IMPORTER: Final = """
import importlib
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        importlib.import_module(request.url.rpartition("/")[2])
        return Response("imported")
"""

CONFIG: Final = """
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      modules = [{modules}],
      compatibilityDate = "{date}",
      compatibilityFlags = [{flags}],
      bindings = [{bindings}],
    )),
    (name = "events", worker = (
      modules = [(name = "events.js", esModule = embed "events.js")],
      compatibilityDate = "{date}",
      compatibilityFlags = ["experimental", "service_binding_extra_handlers"],
      bindings = [(name = "WORKER", service = "worker")],
    )),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:{port}", service = "worker",
     http = (cfBlobHeader = "{cf}", forwardedProtoHeader = "{scheme}")),
    (name = "events", address = "127.0.0.1:{events_port}", http = (), service = "events"),
  ],
);
"""


class JSError(RuntimeError):
    """What a call of the Worker threw, as the calling Worker sees it."""

    def __init__(self, name: str, message: str, stack: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.stack = stack


@dataclass(frozen=True)
class Workerd(Server):
    """A running workerd; `bundle_bytes` is the size of the modules that aren't Cloudflare's SDK or Pydantic."""

    events_url: str
    bundle_bytes: int

    def scheduled(self, cron: str, time: datetime) -> dict[str, Any]:
        """Call the Worker's `scheduled`; answers {outcome, noRetry}."""
        return self._call("scheduled", {"cron": cron, "scheduledTime": int(time.timestamp() * 1000)})

    def queue(self, name: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Call the Worker's `queue` with messages of `id`, `timestamp` (datetime), `attempts` and `body`.

        A body is what JSON can say, bytes or datetime. Answers {outcome, ackAll, retryBatch, explicitAcks,
        retryMessages: [{msgId, delaySeconds}]}.
        """
        metrics = {"backlogCount": len(messages), "backlogBytes": 0, "oldestMessageTimestamp": 0}
        return self._call("queue", name, messages, {"metrics": metrics})

    def email(self, sender: str, to: str, headers: Sequence[tuple[str, str]], raw: bytes) -> dict[str, Any]:
        """Call the Worker's `email`. Return {rejected}: the reason passed to setReject, or None. Raise JSError if it raises."""
        return self._call("email", {"from": sender, "to": to, "headers": [list(pair) for pair in headers], "raw": raw})

    def rpc(self, method: str, *args: object) -> Any:
        """Call a method of the Worker as another Worker does; raise JSError if it raises."""
        return self._call(method, *args)

    def sent(self) -> list[tuple[str, bytes]]:
        """What the Worker has sent to its queues since the last time: each message's content type and body."""
        return [(one["format"], base64.b64decode(one["body"])) for one in self._call("$sent")]

    def _call(self, method: str, *args: object) -> Any:
        status, answer = _called(self.events_url, method, *args)
        if status != 200:
            raise JSError(**json.loads(answer))
        return json.loads(answer)


@contextmanager
def workerd(
    main: Path,
    *,
    sources: Sequence[Path] = (),
    packages: Sequence[Path] = (),
    vars: Mapping[str, str] = {},
    queues: Sequence[str] = (),
    pydantic: bool = False,
    snapshot: bool = False,
    built_in_sdk: bool = False,
) -> Iterator[Workerd]:
    """Serve the Worker whose `Default` class is in the file `main`.

    `sources` are files and package folders that lie beside it; `packages` come as from the Worker's requirements.
    `queues` are names of bindings that send to a queue. With `snapshot` the Worker was imported in another process, whose
    memory it starts with, as after a deployment; with `built_in_sdk` it has the SDK of before 2026-04-21.
    """
    own = [module for source in (main, *sources) for module in _files(source)]
    required = [(f"python_modules/{name}", path) for package in packages for name, path in _files(package)]
    installed = [
        (f"python_modules/{name}", path)
        for entry in sorted(vendored("cloudflare", *WHEELS).iterdir())
        if (pydantic or not entry.name.startswith(PYDANTIC)) and not (built_in_sdk and entry.name.startswith(SDK))
        for name, path in _files(entry)
    ]
    port, events_port = free_ports(2)
    config = CONFIG.format(
        modules=",\n".join(_module(name, path) for name, path in (*own, *required, *installed)),
        bindings=", ".join(
            [f"(name = {_text(name)}, text = {_text(value)})" for name, value in vars.items()]
            + [f'(name = {_text(name)}, queue = "events")' for name in queues]
        ),
        flags=", ".join(map(_text, FLAGS + BUILT_IN_SDK if built_in_sdk else FLAGS)),
        date=COMPATIBILITY_DATE,
        port=port,
        events_port=events_port,
        cf=CF_HEADER,
        scheme=SCHEME_HEADER,
    )
    node_modules = npm("cloudflare") / "node_modules"
    pyodide = bundle(node_modules / "pyodide", CACHE / "workerd")
    with TemporaryDirectory() as folder:
        Path(folder, "config.capnp").write_text(config)
        Path(folder, "events.js").write_text(EVENTS)
        # Two of the Python flags are experimental; an import path of / lets `embed` take absolute paths.
        command: list[str | Path] = [_executable(node_modules), "serve", Path(folder, "config.capnp")]
        command += ["--experimental", "--import-path=/", f"--pyodide-bundle-disk-cache-dir={pyodide}"]
        if snapshot:
            command.append(f"--python-snapshot-dir={folder}")
            with serving([*command, "--python-save-snapshot"], events_port) as events:
                _loaded(events)
            command.append("--python-load-snapshot=snapshot.bin")
        with serving(command, events_port) as events:
            _loaded(events)
            size = sum(path.stat().st_size for _, path in (*own, *required))
            yield Workerd(f"http://127.0.0.1:{port}", events.process, events.url, size)


def import_time(module: str, *, packages: Sequence[Path] = (), pydantic: bool = False) -> float:
    """The milliseconds that the first import of a module takes in a Worker that has Cloudflare's SDK imported.

    A Worker's clock counts whole milliseconds, and none while it is imported; so a request imports the module and is
    timed from outside, less the time of a request that imports nothing new.
    """
    with TemporaryDirectory() as folder:
        main = Path(folder, "importer.py")
        main.write_text(IMPORTER)
        with workerd(main, packages=packages, pydantic=pydantic) as server:
            nothing_new = sorted(_answered(server, "sys") for _ in range(21))[10]
            return (_answered(server, module) - nothing_new) * 1000


def _answered(server: Server, module: str) -> float:
    response = send(server.url, "GET", f"/{module}", [], None)
    if response.status != 200:
        raise RuntimeError(f"workerd can't import {module}: {server.process.tail()}")
    return response.chunks[0][0]


def _loaded(events: Server) -> None:
    """Wait until the Worker has been imported; workerd listens before, and exits when that fails."""
    absent = "absent"
    try:
        _, answer = _called(events.url, absent)
    except (OSError, EOFError) as exc:
        events.process.popen.wait(timeout=10)
        raise RuntimeError("the Worker can't be imported") from exc
    if json.loads(answer)["message"] != f"Method {absent} does not exist":
        raise RuntimeError(f"the Worker has no class named Default: {answer}")


def _called(events_url: str, method: str, *args: object) -> tuple[int, str]:
    body = json.dumps({"method": method, "args": args}, default=_tagged).encode()
    response = send(events_url, "POST", "/", [], body)
    return response.status, response.body.decode()


def _executable(node_modules: Path) -> Path:
    system = platform.system().lower()
    machine = {"x86_64": "64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    executable = node_modules / "@cloudflare" / f"workerd-{system}-{machine}" / "bin" / "workerd"
    if not executable.exists():
        raise Unavailable(f"npm has no workerd for {system} on {machine}")
    return executable


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    """A file, or the files of a folder that a deployment uploads, named from the folder that they lie in."""
    if source.is_file():
        yield source.name, source
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield path.relative_to(source.parent).as_posix(), path


def _module(name: str, path: Path) -> str:
    kind = "pythonModule" if path.suffix == ".py" and not name.startswith("python_modules/") else "data"
    return f"(name = {_text(name)}, {kind} = embed {_text(str(path.resolve()))})"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class JS:
    """A value that only JavaScript has: bigint (a str), map (pairs), set (a list), or one of those that EVENTS makes, "js"."""

    kind: str
    value: Any


def _tagged(value: object) -> dict[str, Any]:
    match value:
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$date": int(value.timestamp() * 1000)}
        case JS():
            return {f"${value.kind}": value.value}
    raise TypeError(f"a queue message can't hold {type(value).__name__}")
