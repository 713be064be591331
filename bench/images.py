"""What images cost in memory: `python -m bench.images --posts 40 400`.

Posts of five images of 1.2 megapixels go through `images load`, `submit fashion-tags` and `collect --wait`, each a
process of its own; for each it prints seconds and the most memory that it held, and at the end the files that were
sent. The provider is the local server (simulated, in a process of its own, not counted).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

COMMAND = (sys.executable, "-c", "import sys; from batch_pipeline.cli import main; sys.exit(main(sys.argv[1:]))")
IMAGES = 5
"""Of each post."""
WIDTH, HEIGHT = 1280, 960


def main() -> None:
    """Runs each size and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[40, 400])
    parser.add_argument("--max-file-bytes", type=int, default=32 * 1024 * 1024, help="of one file that is sent")
    parser.add_argument("--port", type=int, default=8799)
    given = parser.parse_args()
    for posts in given.posts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_up(folder / "images", posts)
            environment = {
                **os.environ,
                "BATCH_PIPELINE_DATA_DIR": str(folder / "data"),
                "BATCH_PIPELINE_LOCAL_URL": f"http://127.0.0.1:{given.port}/v1",
                "BATCH_PIPELINE_MAX_FILE_BYTES": str(given.max_file_bytes),
            }
            with server(folder, given.port):
                measure(folder, environment, posts)


def measure(folder: Path, environment: Mapping[str, str], posts: int) -> None:
    """Loads, submits and collects."""
    say(f"{posts} posts, {posts * IMAGES:,} images, {size_of(folder / 'images') / 1e6:,.0f} MB")
    run(environment, "images", "load", folder / "images")
    job = json.loads(run(environment, "submit", "fashion-tags", "--json"))["job_id"]
    outcomes = json.loads(run(environment, "collect", job, "--wait", "--poll-seconds", "1", "--json"))["outcomes"]
    files = sorted((folder / "data" / "batches").rglob("requests-*.jsonl"))
    sizes = ", ".join(f"{path.stat().st_size / 1e6:,.1f}" for path in files)
    say(f"  {len(files)} files sent, of MB: {sizes}; outcomes: {outcomes}")


def run(environment: Mapping[str, str], *arguments: object) -> bytes:
    """Calls the command, prints what it took, and gives what it wrote."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out:
        called = subprocess.Popen([*COMMAND, *map(str, arguments)], env=dict(environment), stdout=out)
        _, status, used = os.wait4(called.pid, 0)
        called.returncode = os.waitstatus_to_exitcode(status)
        if called.returncode:
            raise SystemExit(f"{arguments} failed: {called.returncode}")
        seconds, cpu = time.monotonic() - begun, used.ru_utime + used.ru_stime
        told = " ".join(map(str, arguments[:2]))
        say(f"  {told:<22.22} {seconds:6.1f} s, {cpu:6.1f} s of CPU, {used.ru_maxrss / 1024:6.0f} MB at most")
        out.seek(0)
        return out.read()


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)  # noqa: T201 - a command


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


def size_of(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in folder.rglob("*.jpg"))


@contextmanager
def server(folder: Path, port: int) -> Generator[None]:
    """A local server, until the end of the block."""
    options = ["--engine", "simulated", "--port", str(port), "--state-dir", str(folder / "server")]
    serving = subprocess.Popen(
        [*COMMAND, "local-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/batches")
        yield
    finally:
        serving.terminate()
        serving.wait()


def wait_for(url: str) -> None:
    """Until somebody answers there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(url):  # noqa: S310 - our own server
                return
        except URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):
                time.sleep(0.1)
                continue
            return
    raise SystemExit("The local server did not start.")


if __name__ == "__main__":
    main()
