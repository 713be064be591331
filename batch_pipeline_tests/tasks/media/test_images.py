from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import PIL.Image
import PIL.ImageCms
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.tasks.content import UnusableRecord
from batch_pipeline.tasks.media import images
from batch_pipeline.tasks.media.images import fitted, image_size, read_image
from batch_pipeline_tests.media_files import bomb, opened, photo


def saved(path: Path, image: PIL.Image.Image, **how: object) -> Path:
    image.save(path, **how)  # pyright: ignore[reportArgumentType] - each format has its own
    return path


def refused(path: Path, **how: object) -> UnusableRecord:
    with pytest.raises(UnusableRecord) as caught:
        read_image(path, **how)  # pyright: ignore[reportArgumentType] - those of the test
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_photo_is_made_as_large_as_the_model_looks_at_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", photo(2400, 1200))
    high, low = read_image(path), read_image(path, detail="low")
    assert (high.width, high.height, high.media_type, high.detail) == (2048, 1024, "image/jpeg", "high")
    assert (low.width, low.height, low.detail) == (512, 256, "low")
    assert opened(low.data).size == (512, 256)
    assert len(low.data) < len(high.data) < path.stat().st_size
    assert read_image(path, model="gpt-4o").width == 1536


def test_nothing_is_enlarged(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.png", photo(30, 20)))
    assert (image.width, image.height) == opened(image.data).size == (30, 20)


def test_a_drawing_stays_sharp_and_small_as_png(tmp_path: Path) -> None:
    drawing = PIL.Image.new("RGB", (200, 100), "white")
    drawing.paste((200, 0, 0), (50, 20, 150, 80))
    image = read_image(saved(tmp_path / "a.bmp", drawing))
    assert image.media_type == "image/png"
    assert opened(image.data).getpixel((100, 50)) == (200, 0, 0)


def test_a_grey_photo_is_no_drawing(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path / "a.png", photo(200, 200).convert("L"))).media_type == "image/jpeg"


def test_an_image_is_turned_upright_and_loses_what_the_camera_wrote(tmp_path: Path) -> None:
    sideways = PIL.Image.new("RGB", (40, 20), "blue")
    sideways.paste((255, 0, 0), (0, 0, 10, 20))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn it clockwise
    exif[0x010F] = "a camera and whose it is"
    path = saved(tmp_path / "a.png", sideways, exif=exif, pnginfo=None)
    image = read_image(path)
    turned = opened(image.data)
    assert (image.width, image.height) == turned.size == image_size(path, path.read_bytes()) == (20, 40)
    assert turned.getpixel((10, 2)) == (255, 0, 0)
    assert b"whose it is" not in image.data
    assert not dict(turned.getexif())


def test_a_large_jpeg_of_a_camera_held_sideways_is_turned_too(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 8
    image = read_image(saved(tmp_path / "a.jpg", photo(2000, 1000), exif=exif), detail="low")
    assert (image.width, image.height) == (256, 512)


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    glass = PIL.Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    image = read_image(saved(tmp_path / "a.webp", glass, lossless=True))
    assert opened(image.data).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_way_to_keep_colours_becomes_rgb(tmp_path: Path, mode: str) -> None:
    source = PIL.Image.new(mode, (8, 8)) if mode in ("I;16", "F") else photo(8, 8).convert(mode)
    image = read_image(saved(tmp_path / "a.tif", source))
    assert opened(image.data).mode == "RGB"


def test_a_grey_of_sixteen_bits_stays_grey(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.png", PIL.Image.new("I;16", (8, 8), 40_000)))
    assert opened(image.data).getpixel((4, 4)) == (156, 156, 156)


def test_a_colour_profile_is_applied_or_left_out(tmp_path: Path) -> None:
    srgb = PIL.ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - pillow leaves it open
    profile = PIL.ImageCms.ImageCmsProfile(srgb).tobytes()  # pyright: ignore[reportUnknownArgumentType] - the same
    red = PIL.Image.new("RGB", (8, 8), (200, 10, 10))
    for name, given_profile in (("good", profile), ("broken", b"no profile")):
        image = read_image(saved(tmp_path / f"{name}.png", red, icc_profile=given_profile))
        pixel = opened(image.data).getpixel((4, 4))
        assert isinstance(pixel, tuple)
        assert abs(pixel[0] - 200) <= 2
        assert "icc_profile" not in opened(image.data).info


def test_of_an_animation_the_first_picture_counts(tmp_path: Path) -> None:
    first, second = PIL.Image.new("RGB", (8, 8), "red"), PIL.Image.new("RGB", (8, 8), "blue")
    image = read_image(saved(tmp_path / "a.gif", first, save_all=True, append_images=[second]))
    assert opened(image.data).getpixel((4, 4)) == (255, 0, 0)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", photo(600, 400))
    assert read_image(path) == read_image(path)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("shopping list")
    told = refused(path)
    assert told.code == "unreadable_image"
    assert "is no image that can be read here" in str(told)
    path.write_bytes(b"")
    assert "is empty" in str(refused(path))
    assert "can't be read: No such file" in str(refused(tmp_path / "gone.jpg"))
    assert "can't be read" in str(refused(tmp_path))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "gif", "bmp"])
def test_an_image_that_is_cut_off_is_refused(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path / f"a.{ending}", photo(400, 300))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path).code == "unreadable_image"
    with pytest.raises(UnusableRecord):
        image_size(path, path.read_bytes())


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_an_image_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, side: int) -> None:
    told = str(refused(bomb(tmp_path / "a.png", side, side)))
    assert "pixels" in told


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    told = str(refused(saved(tmp_path / "a.png", photo(100, 100))))
    assert "more than 100 are not taken" in told


def test_a_file_that_changed_since_it_was_loaded_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", photo(10, 10))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_image(path, sha256=digest)
    saved(path, photo(10, 10, seed=2))
    assert refused(path, sha256=digest).code == "changed_file"


def test_an_image_for_another_model_is_fitted_to_it(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.jpg", photo(1200, 1000)))
    assert fitted(image, "gpt-6-luna") is image
    smaller = fitted(image, "gpt-4o")
    assert (smaller.width, smaller.height) == opened(smaller.data).size == (921, 768)


WHOLE = photo(64, 48)


@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF"]), st.integers(0, 4_000), st.binary(max_size=20))
def test_whatever_is_damaged_is_an_image_or_a_sentence(kind: str, place: int, damage: bytes) -> None:
    buffer = BytesIO()
    WHOLE.save(buffer, kind)
    data = buffer.getvalue()
    damaged = data[:place] + damage + data[place + len(damage) :]
    try:
        told = f"some.file has {image_size(Path('some.file'), damaged)} pixels"
    except UnusableRecord as error:
        told = error.message
    assert told.startswith("some.file ")
