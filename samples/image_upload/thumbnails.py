"""A picture that is stored gets a thumbnail beside it, and a message says so."""

from io import BytesIO

from PIL import Image, UnidentifiedImageError

from portable_fn import Context, ObjectEvent, Reject, on, portable
from sending import sending
from storage import storage

LONGEST_SIDE = 128


@portable(on.object("uploads", "created", dead_letter="undeliverable"))
def thumbnail(upload: ObjectEvent, ctx: Context) -> None:
    objects = storage(ctx)
    # Azure's blob trigger hands the content over; elsewhere it is fetched.
    content = objects.get(upload.bucket, upload.key) if upload.body is None else upload.body
    # Into a container of their own, or each thumbnail would be an upload again.
    objects.put("thumbnails", f"{upload.key}.png", small(content))
    sending(ctx).send({"picture": upload.key, "thumbnail": f"{upload.key}.png"})


def small(picture: bytes) -> bytes:
    """The picture as a PNG that fits into a square of LONGEST_SIDE; Reject for what is none, or is too large to open."""
    try:
        image = Image.open(BytesIO(picture))
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as exc:
        raise Reject(f"it is no picture: {type(exc).__name__}") from exc
    png = BytesIO()
    image.convert("RGBA").save(png, "PNG")
    return png.getvalue()
