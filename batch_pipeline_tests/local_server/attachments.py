"""Images and PDFs, as small as they can be."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from PIL import Image


def data_url(data: bytes, media_type: str = "application/pdf") -> str:
    """As a request holds it."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def image(width: int, height: int, form: str = "PNG") -> bytes:
    """An image of one colour."""
    file = BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, form)
    return file.getvalue()


PICTURE = data_url(image(64, 32), "image/png")


def pdf(*pages: str) -> bytes:
    """A PDF with these texts, in ASCII, one a page."""
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at, text in enumerate(pages):
        said = f"BT /F 9 Tf 20 400 Td ({text}) Tj ET"
        resources = "/MediaBox[0 0 600 420]/Resources<</Font<</F 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R{resources}/Contents {5 + 2 * at} 0 R>>")
        objects.append(f"<</Length {len(said)}>>stream\n{said}\nendstream")
    body, places = "%PDF-1.4\n", list[int]()
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj{each}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    )
    return (body + end).encode()
