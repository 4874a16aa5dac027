"""Send messages with each provider's own SDK."""

import json
from pathlib import Path
from typing import Any, Protocol

from portable_fn import Context


class Sending(Protocol):
    def send(self, message: dict[str, Any]) -> None: ...


def sending(ctx: Context) -> Sending:
    """Return the file that the setting SENT names, or without it the provider's own queue `thumbnails`."""
    if file := ctx.env.get("SENT"):
        return Lines(Path(file))
    return OWN[ctx.provider](ctx)


class Lines:
    """A file with one line of JSON for each message."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def send(self, message: dict[str, Any]) -> None:
        with self.file.open("a") as lines:
            lines.write(json.dumps(message) + "\n")


class SQS:
    """The queue at the URL in the setting QUEUE_URL."""

    def __init__(self, ctx: Context) -> None:
        import boto3

        self.client: Any = boto3.client("sqs")
        self.url = ctx.env["QUEUE_URL"]

    def send(self, message: dict[str, Any]) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=json.dumps(message))


class PubSub:
    """The topic in the setting TOPIC: projects/PROJECT/topics/thumbnails."""

    def __init__(self, ctx: Context) -> None:
        from google.cloud.pubsub_v1 import PublisherClient

        self.client: Any = PublisherClient()
        self.topic = ctx.env["TOPIC"]

    def send(self, message: dict[str, Any]) -> None:
        self.client.publish(self.topic, json.dumps(message).encode()).result()


class StorageQueue:
    def __init__(self, ctx: Context) -> None:
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy

        # The encoding that Azure's queue trigger expects.
        self.client: Any = QueueClient.from_connection_string(
            ctx.env["AzureWebJobsStorage"], "thumbnails", message_encode_policy=TextBase64EncodePolicy()
        )

    def send(self, message: dict[str, Any]) -> None:
        self.client.send_message(json.dumps(message))


class CloudflareQueue:
    """The queue that wrangler.jsonc binds as QUEUE."""

    def __init__(self, ctx: Context) -> None:
        self.queue: Any = ctx.env["QUEUE"]

    def send(self, message: dict[str, Any]) -> None:
        from js import Object
        from pyodide.ffi import run_sync, to_js

        run_sync(self.queue.send(to_js(message, dict_converter=Object.fromEntries)))


OWN = {"aws": SQS, "gcp": PubSub, "azure": StorageQueue, "cloudflare": CloudflareQueue}
