"""Azure Functions: the real Python library worker behind a mock host, which enforces the real host's rules."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.runtimes.environments import ROOT, pythons, venv
from tests.runtimes.process import Process, free_ports, serving


class Refused(Exception):
    """The worker can't index the app, or the host refuses one of its functions; the message has the reason."""


@dataclass(frozen=True)
class Function:
    """A loaded function, with its bindings as in function.json, and its retry policy as RpcRetryOptions or None."""

    name: str
    bindings: list[dict[str, Any]]
    retry: dict[str, Any] | None = None


@dataclass(frozen=True)
class Invocation:
    """The end of an invocation. `error` is None on success; `returned` and `outputs` are plain values."""

    error: str | None
    returned: Any
    outputs: dict[str, Any]


@dataclass(frozen=True)
class AzureHost:
    """A running host that checks no access keys; `url` has no trailing slash and no route prefix."""

    url: str
    functions: list[Function]
    process: Process
    timeout: float

    @property
    def logs(self) -> list[str]:
        """The lines that the worker wrote and logged: RpcLog as "[Level] category: message", the host's as [host]."""
        return self.process.logs

    def logged(self, text: str, *, timeout: float = 10) -> str:
        """Wait for the first line of `logs` that contains the text, and return it."""
        return self.process.logged(text, timeout=timeout)

    def invoke(
        self,
        name: str,
        inputs: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] = {},
        trace: Mapping[str, str] = {},
        retry: Mapping[str, int] = {},
    ) -> Invocation:
        """Invoke a function of any trigger, with values for its arguments and its trigger's metadata.

        Values become TypedData as the host makes them: str a string, bytes bytes, float a double, a list of one of
        them or of int a collection, and anything else JSON. `trace` has trace_parent and trace_state, `retry` has
        retry_count and max_retry_count.
        """
        return self.invoke_typed(
            name,
            {each: _typed(value) for each, value in inputs.items()},
            metadata={each: _typed(value) for each, value in metadata.items()},
            trace=trace,
            retry=retry,
        )

    def invoke_typed(
        self,
        name: str,
        inputs: Mapping[str, Mapping[str, Any]],
        *,
        metadata: Mapping[str, Mapping[str, Any]] = {},
        trace: Mapping[str, str] = {},
        retry: Mapping[str, int] = {},
    ) -> Invocation:
        """Invoke a function with values that are TypedData already, in protobuf's JSON."""
        request = {
            "input_data": [{"name": each, "data": value} for each, value in inputs.items()],
            "trigger_metadata": dict(metadata),
            "trace_context": dict(trace),
        }
        if retry:
            request["retry_context"] = dict(retry)
        answer = _read(f"{self.url}/admin/invocations/{name}", self.timeout + 10, json.dumps(request).encode())
        result = answer.get("result", {})
        error = answer.get("no_response") or result.get("exception", {}).get("message", "failed without a message")
        return Invocation(
            None if result.get("status") == "Success" else error,
            _plain(answer.get("return_value", {})),
            {each["name"]: _plain(each.get("data", {})) for each in answer.get("output_data", [])},
        )


@contextmanager
def azure_functions(
    app: Path,
    *,
    python: str | None = None,
    pythonpath: Sequence[Path] = (),
    env: Mapping[str, str] = {},
    timeout: float = 30,
    environment: str = "azure",
) -> Iterator[AzureHost]:
    """Serve a folder with function_app.py and host.json, by this Python or that of a version ("3.11") or a path.

    `environment` is what the worker has installed: "azure", or "azure-settlement" for settling Service Bus messages.

    A function that has not answered after `timeout` seconds is answered for with 500. Streaming needs no option: an
    app that imports azurefunctions.extensions.http.fastapi switches the worker to it.
    """
    interpreter = venv(environment, no_deps=True, python=pythons().get(python, python) if python else sys.executable)
    [port] = free_ports(1)
    command: list[str | Path] = [interpreter, "-m", "tests.runtimes.azure_host", app.resolve(), str(port), str(timeout)]
    # Azure's Linux workers run in UTC, which the library worker's cookie expiry depends on.
    with serving(command, port, cwd=ROOT, pythonpath=pythonpath, env={"TZ": "UTC", **env}, timeout=90) as server:
        loaded = _read(f"{server.url}/admin/functions", 30)
        if loaded["errors"]:
            raise Refused("\n".join(loaded["errors"]))
        functions = [Function(**each) for each in loaded["functions"]]
        yield AzureHost(server.url, functions, server.process, timeout)


def _typed(value: Any) -> dict[str, Any]:
    """Return a value as TypedData.

    Source: azure-functions-host, GrpcMessageConversionExtensions.ToRpc.
    """
    match value:
        case None:
            return {}
        case str():
            return {"string": value}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case float():
            return {"double": value}
        case [str(), *_]:
            return {"collection_string": {"string": [each for each in value if each]}}
        case [bytes(), *_]:
            return {"collection_bytes": {"bytes": [base64.b64encode(each).decode() for each in value]}}
        case [float(), *_]:
            return {"collection_double": {"double": value}}
        case [int(), *_]:
            return {"collection_sint64": {"sint64": value}}
        case _:
            return {"json": json.dumps(value, separators=(",", ":"))}


def _plain(data: Mapping[str, Any]) -> Any:
    for kind, value in data.items():
        match kind:
            case "json":
                return json.loads(value)
            case "bytes":
                return base64.b64decode(value)
            case "int":
                return int(value)
            case _:
                return value
    return None


def _read(url: str, timeout: float, body: bytes | None = None) -> Any:
    with urlopen(Request(url, body), timeout=timeout) as answer:
        return json.load(answer)
