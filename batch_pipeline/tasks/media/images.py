"""An image file as it is sent: upright, no larger than a model looks at, and without what a camera wrote into it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from batch_pipeline.tasks.content import Detail, Image, UnusableRecord
from batch_pipeline.tasks.media.files import read_bytes
from batch_pipeline.tasks.media.image_tokens import sent_size

if TYPE_CHECKING:
    from PIL.Image import Image as Pixels

T = TypeVar("T")

UNREADABLE = "unreadable_image"
"""The `error_code` of a record whose image can't be used."""

MAX_BYTES = 100 * 1024 * 1024
MAX_PIXELS = 60_000_000
"""Larger files are not opened: unpacked, 60 megapixels are 180 MB of memory. Cameras end at 50 or so."""

NEWEST_MODEL = "gpt-6-luna"
"""Whose size is sent where no model is named; what the job's own model uses less of is made smaller by `fitted`."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
"""What is opened at all: Pillow hands other formats to programs of their own."""
_JPEG_QUALITY = 85
_DRAWING_COLOURS = 64
"""With so few colours it is a drawing, which PNG makes smaller than JPEG, and keeps sharp."""
_ORIENTATION = 0x0112


def read_image(
    path: str | Path, *, detail: Detail = "high", model: str = NEWEST_MODEL, sha256: str | None = None
) -> Image:
    """Reads a JPEG, PNG, GIF, WebP, BMP or TIFF file, as it is to be sent.

    The camera's orientation is applied, transparency becomes white, colours become sRGB, of an animation the first
    picture counts. The same file gives the same bytes, so its request is bought once.

    Args:
        path: The file.
        detail: How closely the model is to look; it is made as large as that, never larger than it is.
        model: Whose rules decide about the size.
        sha256: Of the file when it was loaded; one that has changed since is refused.

    Raises:
        UnusableRecord: `unreadable_image`: it is missing, no image, cut off or too large; `changed_file`.
    """
    file = Path(path)
    data = read_bytes(file, UNREADABLE, MAX_BYTES, sha256)

    def encode(image: Pixels) -> Image:
        return _encoded(_upright(image, lambda width, height: sent_size(model, width, height, detail)), detail)

    return _with_image(file, data, encode)


def fitted(image: Image, model: str) -> Image:
    """An image no larger than `model` looks at."""
    size = sent_size(model, image.width, image.height, image.detail)
    if size == (image.width, image.height):
        return image

    def encode(pixels: Pixels) -> Image:
        return _encoded(_upright(pixels, lambda _width, _height: size), image.detail)

    return _with_image(Path("image"), image.data, encode)


def image_size(file: Path, data: bytes) -> tuple[int, int]:
    """Width and height in pixels, upright; all of it is read, so that one that is cut off is noticed.

    Raises:
        UnusableRecord: `unreadable_image`.
    """

    def look(image: Pixels) -> tuple[int, int]:
        size = _upright_size(image)
        image.draft("RGB", (1, 1))  # of a JPEG, an eighth is enough to see that it is whole
        image.load()
        return size

    return _with_image(file, data, look)


def _with_image(file: Path, data: bytes, use: Callable[[Pixels], T]) -> T:
    """What `use` makes of the image; whatever Pillow stumbles over is the image's fault."""
    try:
        with _opened(data) as image:
            _check_size(file, *image.size)
            return use(image)
    except UnusableRecord:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes its decoder raise anything
        raise UnusableRecord(UNREADABLE, _why(file, data, error)) from None


@contextmanager
def _opened(data: bytes) -> Generator[Pixels]:
    import PIL.Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its size we judge ourselves; odd metadata is thrown away
        with PIL.Image.open(BytesIO(data), formats=_FORMATS) as image:
            yield image


def _check_size(file: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnusableRecord(
            UNREADABLE,
            f"{file} has {width:,} by {height:,} pixels, and more than {MAX_PIXELS:,} are not unpacked; "
            "make it smaller.",
        )


def _why(file: Path, data: bytes, error: Exception) -> str:
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError

    if not data:
        return f"{file} is empty, and no image."
    if isinstance(error, UnidentifiedImageError):
        return f"{file} is no image that can be read here: {', '.join(_FORMATS)}."
    if isinstance(error, (DecompressionBombError, MemoryError)):
        return f"{file} unpacks to far more pixels than an image has; it was left alone."
    if isinstance(error, OSError) and "truncated" in str(error):
        return f"{file} is cut off: the end of the image is missing."
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{file} is a damaged image: {told}."


def _upright_size(image: Pixels) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8) else (width, height)


def _upright(image: Pixels, wanted: Callable[[int, int], tuple[int, int]]) -> Pixels:
    from PIL import ImageOps
    from PIL.Image import Resampling

    upright = _upright_size(image)
    size = wanted(*upright)
    drafted = size if upright == image.size else (size[1], size[0])
    image.draft("RGB", drafted)  # a JPEG is unpacked no larger than needed, in a fraction of the time
    flat = _on_white(_in_srgb(ImageOps.exif_transpose(image)))
    return flat if flat.size == size else flat.resize(size, Resampling.LANCZOS)


def _in_srgb(image: Pixels) -> Pixels:
    """The colours that every screen means; a profile that can't be read is left out, as viewers do."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or image.mode not in ("RGB", "CMYK", "L"):
        return image
    from PIL import ImageCms

    try:
        screen = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - pillow leaves it open
        made = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(BytesIO(profile)), screen, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    return made or image


def _on_white(image: Pixels) -> Pixels:
    """RGB; what is transparent becomes white, since no provider says what it makes of it."""
    import PIL.Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a pixel; `convert` would cut them off at 255
        image = image.convert("F").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = PIL.Image.new("RGBA", layer.size, "white")
    return PIL.Image.alpha_composite(white, layer).convert("RGB")


def _encoded(image: Pixels, detail: Detail) -> Image:
    drawing = image.getcolors(_DRAWING_COLOURS) is not None
    buffer = BytesIO()
    image.info = {}  # or the encoder writes comments and profiles again
    if drawing:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return Image(buffer.getvalue(), "image/png" if drawing else "image/jpeg", *image.size, detail)
