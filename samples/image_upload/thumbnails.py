"""Make a thumbnail of every stored picture, and send a message about it."""

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
    # Into another container: in the same one each thumbnail would be an upload.
    objects.put("thumbnails", f"{upload.key}.png", small(content))
    sending(ctx).send({"picture": upload.key, "thumbnail": f"{upload.key}.png"})


def small(picture: bytes) -> bytes:
    """Return the picture as a PNG that fits into a square of LONGEST_SIDE; Reject if it can't be opened or is too large."""
    try:
        image = Image.open(BytesIO(picture))
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as exc:
        raise Reject(f"it isn't a picture: {type(exc).__name__}") from exc
    png = BytesIO()
    image.convert("RGBA").save(png, "PNG")
    return png.getvalue()
