"""Test thumbnails in a folder, by a direct call and through each provider."""

import json
from io import BytesIO

import pytest
from PIL import Image

from portable_fn import Reject
from portable_fn.testing import fake
from storage import Folder
from thumbnails import small, thumbnail


def picture(width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "JPEG")
    return file.getvalue()


class Cloud:
    """Return a store and a sender that use files."""

    def __init__(self, folder, env):
        self.objects = Folder(folder)
        self.sent_file = folder / "sent"
        env.setenv("STORAGE", str(folder))
        env.setenv("SENT", str(self.sent_file))
        self.sent_file.touch()

    def size(self, key):
        return Image.open(BytesIO(self.objects.get("thumbnails", key))).size

    @property
    def sent(self):
        return [json.loads(line) for line in self.sent_file.read_text().splitlines()]


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    return Cloud(tmp_path, monkeypatch)


def test_content_in_the_event_is_not_fetched(cloud):
    thumbnail(fake.object(key="cat.jpg", body=picture(400, 200)))

    assert (128, 64) == cloud.size("cat.jpg.png")


def test_a_small_picture_stays_as_large_as_it_is():
    assert (20, 10) == Image.open(BytesIO(small(picture(20, 10)))).size


def test_a_file_that_isnt_a_picture_is_rejected():
    with pytest.raises(Reject, match="UnidentifiedImageError"):
        small(b"%PDF-1.7")


def test_a_key_can_not_lead_out_of_its_bucket(cloud):
    with pytest.raises(ValueError, match="leads out"):
        cloud.objects.put("thumbnails", "../../etc/passwd", b"")


@pytest.mark.providers("all")
@pytest.mark.parametrize("key", ["cat.jpg", "2026/so weiß + schön.jpg"])
def test_an_upload_gets_a_thumbnail_and_a_message_on_every_provider(cloud, deliver, key):
    cloud.objects.put("uploads", key, picture(400, 200))

    delivery = deliver(thumbnail, fake.object("uploads", key, body=picture(400, 200)))

    assert ["acknowledged"] == delivery.outcomes
    assert (128, 64) == cloud.size(f"{key}.png")
    assert [{"picture": key, "thumbnail": f"{key}.png"}] == cloud.sent


@pytest.mark.providers("all")
def test_a_deleted_picture_gets_none_on_any_provider(cloud, deliver):
    delivery = deliver(thumbnail, fake.object("uploads", "cat.jpg", action="deleted"))

    assert ["acknowledged"] == delivery.outcomes
    assert [] == cloud.sent
