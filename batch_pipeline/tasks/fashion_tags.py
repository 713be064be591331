"""What is worn in the pictures of a post? A request an image, and a row a post."""

from collections.abc import Mapping
from typing import Literal, cast

from pydantic import BaseModel, Field

from batch_pipeline.tasks import BatchTask, Content, Record, Text
from batch_pipeline.tasks.media import read_image


class FashionTags(BaseModel):
    """What one image shows."""

    description: str = Field(description="One sentence: what is to be seen, and what is striking about it.")
    garment: Literal["top", "trousers", "skirt or dress", "coat or jacket", "shoes", "headwear", "other", "none"] = (
        Field(description="The main garment; none where the image shows no clothes.")
    )
    colours: list[Literal["black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "brown"]] = (
        Field(description="Its colours, the main one first.")
    )
    pattern: Literal["plain", "striped", "dotted", "checked", "printed"]
    occasion: Literal["everyday", "work", "sport", "beach", "rain", "festive"]


def prompt(record: Record) -> Content:
    """The image, and which one of its post it is; `images` is one image here."""
    image = cast("Mapping[str, str]", record["images"])
    return [
        read_image(image["path"], detail="low", sha256=image["sha256"]),
        Text(f"Image {cast('int', record['part']) + 1} of the post."),
    ]


fashion_tags = BatchTask(
    name="fashion_tags",
    records="""\
SELECT post AS record_id, list({'path': path, 'sha256': sha256} ORDER BY position) AS images
FROM images
GROUP BY post""",
    each="images",
    system="You tag the pictures of a fashion archive. Say what the image shows; guess no brands and no people.",
    prompt=prompt,
    uses=("images",),
    answer=FashionTags,
    max_output_tokens=200,
    partitions=None,
    deps=("images",),
)
