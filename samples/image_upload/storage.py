"""Read and write objects with each provider's own SDK."""

from pathlib import Path
from typing import Any, Protocol

from portable_fn import Context


class Storage(Protocol):
    def get(self, bucket: str, key: str) -> bytes: ...

    def put(self, bucket: str, key: str, content: bytes) -> None: ...


def storage(ctx: Context) -> Storage:
    """Return the folder that the setting STORAGE names, such as a container's volume, or without it the provider's own storage."""
    if folder := ctx.env.get("STORAGE"):
        return Folder(Path(folder))
    return OWN[ctx.provider](ctx)


class Folder:
    """A folder with a folder for each bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, bucket: str, key: str) -> bytes:
        return self._path(bucket, key).read_bytes()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        path = self._path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _path(self, bucket: str, key: str) -> Path:
        path = (self.folder / bucket / key).resolve()
        if not path.is_relative_to((self.folder / bucket).resolve()):
            raise ValueError(f"the key {key!r} leads out of its bucket")
        return path


class S3:
    def __init__(self, ctx: Context) -> None:
        import boto3

        self.client: Any = boto3.client("s3")

    def get(self, bucket: str, key: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)


class CloudStorage:
    def __init__(self, ctx: Context) -> None:
        from google.cloud.storage import Client

        self.client: Any = Client()

    def get(self, bucket: str, key: str) -> bytes:
        return self.client.bucket(bucket).blob(key).download_as_bytes()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.bucket(bucket).blob(key).upload_from_string(content)


class BlobStorage:
    def __init__(self, ctx: Context) -> None:
        from azure.storage.blob import BlobServiceClient

        self.client: Any = BlobServiceClient.from_connection_string(ctx.env["AzureWebJobsStorage"])

    def get(self, bucket: str, key: str) -> bytes:
        return self.client.get_blob_client(bucket, key).download_blob().readall()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.get_blob_client(bucket, key).upload_blob(content, overwrite=True)


class R2:
    """The buckets that wrangler.jsonc binds, each by its name in capitals."""

    def __init__(self, ctx: Context) -> None:
        self.env = ctx.env

    def get(self, bucket: str, key: str) -> bytes:
        from pyodide.ffi import run_sync

        found = run_sync(self.env[bucket.upper()].get(key))
        return run_sync(found.arrayBuffer()).to_bytes()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        from pyodide.ffi import run_sync, to_js

        run_sync(self.env[bucket.upper()].put(key, to_js(content)))


OWN = {"aws": S3, "gcp": CloudStorage, "azure": BlobStorage, "cloudflare": R2}
