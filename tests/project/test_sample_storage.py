"""What samples/image_upload reads, stores and sends by each provider's own SDK, against an emulator of its service."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.runtimes.azurite import azurite
from tests.runtimes.cloudflare import workerd
from tests.runtimes.cloudflare_stories import PACKAGES
from tests.runtimes.environments import ROOT, vendored
from tests.runtimes.gcs import cloud_storage
from tests.runtimes.harnesses import PYTHONPATH
from tests.runtimes.ministack import ACCOUNT, REGION, ministack
from tests.runtimes.pubsub import PROJECT, pubsub

pytestmark = pytest.mark.runtime

SAMPLE = ROOT / "samples" / "image_upload"
KEY = "2026/so weiß + schön.jpg"
CONTENT = bytes(range(256))
MESSAGE = {"picture": KEY, "thumbnail": f"{KEY}.png"}

# Runs in a new process, so that only that one imports the SDKs.
SCRIPT = """
import json, sys
from portable_fn import Context
from sending import sending
from storage import storage

provider, key, message = sys.argv[1:]
ctx = Context(provider)
objects = storage(ctx)
objects.put("thumbnails", key, objects.get("uploads", key))
objects.put("thumbnails", key, objects.get("thumbnails", key)[::-1])
sending(ctx).send(json.loads(message))
"""


class Cloud(NamedTuple):
    """An emulator with a picture in `uploads`; `env` are the settings of a function, `stored` and `sent` what it did."""

    env: Mapping[str, str]
    stored: Any
    sent: Any


@contextmanager
def aws() -> Iterator[Cloud]:
    with ministack() as cloud:
        queue, s3 = cloud.queue("thumbnails"), cloud.client("s3")
        for bucket in ("uploads", "thumbnails"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="uploads", Key=KEY, Body=CONTENT)
        key = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": REGION}

        def stored() -> bytes:
            content: bytes = s3.get_object(Bucket="thumbnails", Key=KEY)["Body"].read()
            return content

        yield Cloud(
            {**key, "AWS_ENDPOINT_URL": cloud.server.url, "QUEUE_URL": queue.url},
            stored,
            lambda: cloud.receive(queue)[0]["Body"],
        )


@contextmanager
def gcp() -> Iterator[Cloud]:
    with pubsub() as events:
        topic = events.topic("thumbnails")
        events.topic("notifications")
        events.subscribe("thumbnails", topic="thumbnails")
        with cloud_storage(events, "notifications") as storage:
            for bucket in ("uploads", "thumbnails"):
                storage.bucket(bucket)
            storage.put("uploads", KEY, CONTENT)
            yield Cloud(
                {
                    "STORAGE_EMULATOR_HOST": storage.server.url,
                    "PUBSUB_EMULATOR_HOST": events.host,
                    "GOOGLE_CLOUD_PROJECT": PROJECT,
                    "TOPIC": topic,
                },
                lambda: _read(f"{storage.server.url}/storage/v1/b/thumbnails/o/{quote(KEY, safe='')}?alt=media"),
                lambda: base64.b64decode(events.pull("thumbnails")[0]["message"]["data"]),
            )


def _read(url: str) -> bytes:
    with urlopen(url) as answer:
        content: bytes = answer.read()
        return content


@contextmanager
def azure() -> Iterator[Cloud]:
    with azurite() as storage:
        for container in ("uploads", "thumbnails"):
            storage.container(container)
        storage.queue("thumbnails")
        storage.put("uploads", KEY, CONTENT)
        yield Cloud(
            {"AzureWebJobsStorage": storage.connection_string},
            lambda: storage.get("thumbnails", KEY).content,
            lambda: base64.b64decode(storage.receive("thumbnails")[0].text),
        )


@pytest.mark.parametrize("emulated", [aws, gcp, azure], ids=lambda emulated: emulated.__name__)
def test_the_provider_s_own_sdk_reads_stores_and_sends(emulated: Any) -> None:
    with emulated() as cloud:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        path = os.pathsep.join(map(str, (*PYTHONPATH, SAMPLE, vendored("samples"))))
        subprocess.run(
            [sys.executable, "-c", SCRIPT, emulated.__name__, KEY, json.dumps(MESSAGE)],
            check=True,
            env={**inherited, "PYTHONPATH": path, **cloud.env},
            timeout=60,
        )
        assert CONTENT[::-1] == cloud.stored()
        assert MESSAGE == json.loads(cloud.sent())


WORKER = """
import json
from portable_fn import Context, Task, on, portable
from portable_fn_cloudflare import entry
from sending import sending

@portable(on.task("send"))
def send(message: Task, ctx: Context) -> None:
    sending(ctx).send(message.data)

Default = entry(send)
"""


def test_a_worker_sends_by_its_binding(tmp_path: Path) -> None:
    """R2 has no emulator for workerd alone, so that its storage is by documentation."""
    main = tmp_path / "worker.py"
    main.write_text(WORKER)
    with workerd(main, sources=[SAMPLE / "sending.py"], packages=PACKAGES, queues=["QUEUE"]) as running:
        running.rpc("send", MESSAGE)
        ((kind, body),) = running.sent()
    assert ("json", MESSAGE) == (kind, json.loads(body))
