"""Run the mock host: `python -m tests.runtimes.azure_host <app folder> <port> <seconds a function may take>`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .rules import refusal, route
from .server import App, Server
from .worker import IndexingFailed, Worker, WorkerLost


def load(folder: Path, timeout: float) -> App:
    """Start the worker and load what the host accepts of the app."""
    settings = json.loads((folder / "host.json").read_text())
    prefix = settings.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    worker = Worker()
    try:
        indexed = worker.start(folder)
    except (IndexingFailed, WorkerLost) as exc:
        return App(worker, [], [], [str(exc)], timeout)
    functions, routes, errors = [], [], []
    # The host tries routes in the order of the functions' names, however specific the routes are.
    # Source: azure-functions-host, FunctionMetadataManager, and issue 9876; azure-webjobs-sdk-extensions#842.
    for function in sorted(indexed, key=lambda each: each.name.lower()):
        if why := refusal(function.name, function.bindings):
            errors.append(why)
            continue
        try:
            routes.extend(
                (function, binding["name"], route(prefix, function.name, binding))
                for binding in function.bindings
                if binding["type"].lower() == "httptrigger"
            )
        except ValueError as exc:
            errors.append(str(exc))
            continue
        worker.load(function)
        functions.append(function)
    return App(worker, functions, routes, errors, timeout)


if __name__ == "__main__":
    app = load(Path(sys.argv[1]), float(sys.argv[3]))
    with Server(int(sys.argv[2]), app) as server:
        server.serve_forever()
