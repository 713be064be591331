"""What images cost in memory: `python -m bench.images --posts 40 400`.

Posts of five images of 1.2 megapixels go through `images load`, `submit fashion-tags` and `collect --wait`, each a
process of its own; for each it prints seconds, CPU seconds and the most megabytes that it held, and at the end the
largest of the files that were sent. The provider is the local server (simulated, in a process of its own, not counted).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from random import Random

from PIL import Image

from bench.children import COMMAND, local_server, run
from bench.compared import environment_for

IMAGES = 5
"""Of each post."""
WIDTH, HEIGHT = 1280, 960
FILE_BYTES = 32 * 1024 * 1024
"""Of one file that is sent, at most."""


def main() -> None:
    """Runs each size and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[40, 400])
    for posts in parser.parse_args().posts:
        for what, figure in measure(posts).items():
            print(f"{what}: {figure:,.1f}".removesuffix(".0"), flush=True)  # noqa: T201 - a command


def measure(posts: int) -> dict[str, float]:
    """Loads, submits and collects."""
    with tempfile.TemporaryDirectory() as name, local_server(Path(name) / "server", "--engine", "simulated") as url:
        folder = Path(name)
        make_up(folder / "images", posts)
        here = environment_for(folder, url) | {"BATCH_PIPELINE_MAX_FILE_BYTES": str(FILE_BYTES)}
        loaded, _ = run(here, *COMMAND, "images", "load", folder / "images")
        submitted, out = run(here, *COMMAND, "submit", "fashion-tags", "--json")
        job = json.loads(out)["job_id"]
        waiting = ("--wait", "--poll-seconds", "1", "--json")
        collected, out = run(here, *COMMAND, "collect", job, *waiting)
        if (answered := json.loads(out)["outcomes"].get("answered")) != posts * IMAGES:
            raise SystemExit(f"{answered} of {posts * IMAGES} images were answered")
        files = [path.stat().st_size for path in (folder / "data/batches").rglob("requests-*.jsonl")]
        pictures = [path.stat().st_size for path in (folder / "images").rglob("*.jpg")]
    found: dict[str, float] = {"images": len(pictures), "megabytes of images": sum(pictures) / 1e6}
    for step, (seconds, cpu, megabytes) in {"load": loaded, "submit": submitted, "collect": collected}.items():
        found |= {f"{step}, s": seconds, f"{step}, s CPU": cpu, f"{step}, MB": megabytes}
    return found | {"files": len(files), "megabytes of the largest": max(files) / 1e6}


def make_up(folder: Path, posts: int) -> None:
    """Photos of many colours, 100 to 200 kB each; all are different."""
    for post in range(posts):
        place = folder / f"post-{post:04}"
        place.mkdir(parents=True)
        for position in range(IMAGES):
            noise = Random(post * IMAGES + position).randbytes(  # noqa: S311 - a picture, no secret
                WIDTH // 8 * HEIGHT // 8 * 3
            )
            small = Image.frombytes("RGB", (WIDTH // 8, HEIGHT // 8), noise)
            small.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR).save(place / f"{position}.jpg", quality=80)


if __name__ == "__main__":
    main()
