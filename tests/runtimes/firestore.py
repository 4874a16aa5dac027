"""Google's Firestore emulator over its REST interface, which calls functions for changed documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from tests.runtimes.gcloud import emulator
from tests.runtimes.process import Server, free_ports, serving
from tests.runtimes.rest import call

PROJECT = "portable"

Change = Literal["create", "update", "delete", "write"]
_EVENTARC = {"create": "created", "update": "updated", "delete": "deleted", "write": "written"}


@dataclass(frozen=True)
class Firestore:
    """A running emulator with one project and its database (default); documents by their path, as "users/ada"."""

    server: Server

    def legacy_trigger(self, name: str, change: Change, pattern: str) -> None:
        """Have a first-generation event posted for each change, to /functions/projects/PROJECT/triggers/NAME.

        A pattern is a path with wildcards, as "users/{id}".
        """
        trigger = {
            "eventType": f"providers/cloud.firestore/eventTypes/document.{change}",
            "resource": _document(pattern),
            "service": "firestore.googleapis.com",
        }
        self._call("PUT", f"emulator/v1/projects/{PROJECT}/triggers/{name}", {"eventTrigger": trigger})

    def eventarc_trigger(self, name: str, change: Change, pattern: str, *, auth_context: bool = False) -> None:
        """Have a binary CloudEvent posted for each change, to /functions/projects/PROJECT/triggers/NAME.

        With `auth_context` it is the type ….withAuthContext.
        """
        kind = f"google.cloud.firestore.document.v1.{_EVENTARC[change]}"
        trigger = {
            "eventType": f"{kind}.withAuthContext" if auth_context else kind,
            "database": "(default)",
            "namespace": "(default)",
            "document": {"value": pattern, "matchType": "PATH_PATTERN" if "{" in pattern else "EXACT"},
        }
        self._call("POST", f"emulator/v1/projects/{PROJECT}/eventarcTrigger?eventarcTriggerId={name}", trigger)

    def write(self, path: str, fields: Mapping[str, Any]) -> None:
        """Create or replace a document, of values as REST has them: {"name": {"stringValue": "Ada"}}."""
        self._call("PATCH", f"v1/{_document(path)}", {"fields": fields})

    def delete(self, path: str) -> None:
        self._call("DELETE", f"v1/{_document(path)}")

    def _call(self, method: str, path: str, body: object = None) -> Any:
        # The emulator takes this token as an administrator's, whom no security rule binds.
        return call(method, f"{self.server.url}/{path}", body, {"Authorization": "Bearer owner"})


@contextmanager
def firestore(functions: str) -> Iterator[Firestore]:
    """Run the emulator with nothing in it; `functions` is the URL, without a path, of the server that triggers call.

    Seen with the emulator of Google Cloud SDK 528, unlike the service: a CloudEvent's body is Base64 text, labelled
    application/protobuf; its ce-source says projects/ twice; a call that is not answered 2xx is not tried again.
    """
    [port] = free_ports(1)
    command = [
        *emulator("cloud-firestore-emulator/cloud-firestore-emulator.jar"),
        "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
    ]
    options = ["--host", "127.0.0.1", "--port", str(port), "--project_id", PROJECT]
    options += ["--functions_emulator", functions.removeprefix("http://")]
    with serving([*command, *options], port, timeout=60) as server:
        yield Firestore(server)


def _document(path: str) -> str:
    return f"projects/{PROJECT}/databases/(default)/documents/{path}"
