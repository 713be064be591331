"""One trial: a job in one world, its processes struck in rounds, then brought to its end and judged."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import cast
from urllib.request import Request, urlopen

from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline_tests.batches.chain import write_notes
from batch_pipeline_tests.chaos import worker
from batch_pipeline_tests.chaos.forked import fork
from batch_pipeline_tests.chaos.judge import Booked, Found, judge
from batch_pipeline_tests.chaos.points import ANY, Strike
from batch_pipeline_tests.chaos.worker import Work
from batch_pipeline_tests.chaos.worlds import HOUR, Fault, World, faults_for
from batch_pipeline_tests.scale.postgres import PostgresServer

RECORDS = 8
ROUNDS = 4
LAST_SECONDS = 60.0
"""What the last worker, which nobody strikes, may take."""


@dataclass(frozen=True)
class Server:
    """A local server in a process of its own; with it, what a world needs besides."""

    root: str
    postgres: PostgresServer | None = None
    address: str = "127.0.0.1"
    """Of both, for every host."""
    hosts: Sequence[int] = ()

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def books(self) -> list[Booked]:
        """All batches that were ever created, whatever clients were told."""
        return cast("list[Booked]", cast("dict[str, object]", self._ask("GET", "/books"))["batches"])

    def order(self, faults: list[Fault]) -> None:
        """Orders faults, in place of all that were ordered."""
        self._ask("PUT", "/faults", faults)

    def _ask(self, method: str, path: str, body: object = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.root + path, data, {"content-type": "application/json"}, method=method)
        with urlopen(request, timeout=30) as reply:
            return json.loads(reply.read())


class Trial:
    """A job in one world.

    Args:
        folder: The pipeline's; empty.
        server: Where the batches go.
        world: What goes on meanwhile.
        chance: Decides everything that is left open.
    """

    def __init__(self, folder: Path, server: Server, world: World, chance: random.Random) -> None:
        self.folder = folder
        self._server = server
        self._world = world
        self._chance = chance
        self._cancelled = False
        self._hung = 0
        self._hosts = cycle(server.hosts[: world.hosts] or [None])
        self._postgres = server.postgres if world.postgres else None
        self._database = self._postgres.new_database() if self._postgres else None
        self._work = Work(folder, server.url, provider=world.provider, ledger_url=self._ledger_url())

    def run(self, next_strike: Callable[[], Strike]) -> Found:
        """Rounds of two processes until `ROUNDS` or the job's end, the last process, and the verdict."""
        self._apart(lambda pipeline: write_notes(pipeline, RECORDS))
        for _ in range(ROUNDS):
            if self._round(next_strike()):
                break
        self._server.order(list(self._world.faults))
        told = self._finish()
        found = self._judge()
        hung = [f"{self._hung} processes hung"] if self._hung else []
        return replace(found, violations=[*told, *hung, *found.violations, *self._crashes()])

    def _round(self, strike: Strike) -> bool:
        """True when both processes came to the end of all work."""
        self._server.order(faults_for(self._world, strike))
        self._cancelled = self._cancelled or strike.point.startswith("cancel.")
        if strike.point == "recover.row":
            self._wait([self._start(Strike("send.marker_synced"))])
        first = self._start(strike)
        others = [self._start_other() for _ in range(self._world.submitters - 1)]
        self._lose_ledger()
        self._restart_ledger()
        return all(code == 0 for code in self._wait([first, *others]))

    def _start_other(self) -> int:
        by_chance = Strike(ANY, nth=self._chance.randint(1, 60))
        return self._start(by_chance, caller=self._chance.choice(["nightly", "nightly", "by hand"]))

    def _start(self, strike: Strike, caller: str = "nightly") -> int:
        work = replace(
            self._work,
            strike=strike,
            host=next(self._hosts),
            caller=caller,
            cancels=strike.point.startswith("cancel."),
            recovers=strike.point == "recover.page_1",
            deletes=strike.point == "collect.remote_deleted",
            # what is pruned is in no ledger that is older than it
            prunes=strike.point == "prune.half" and self._world.ledger is None,
        )
        if self._world.two_keys and self._chance.random() < 0.4:
            work = replace(work, key="theirs", seconds=5.0)
        if self._world.clock:
            work = replace(work, clock=self._chance.choice([-HOUR, 0.0, HOUR]), seconds=5.0)
        return worker.start(work)

    def _wait(self, workers: list[int]) -> list[int]:
        """Until all have ended; one that stops itself is left so, while another goes on, and then let go."""
        codes: dict[int, int] = {}
        going = {*workers}
        while going:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED)
            assert ended is not None
            if ended.si_code == os.CLD_STOPPED:
                going.add(self._let_another_go_on(ended.si_pid))
            else:
                going.discard(ended.si_pid)
                codes[ended.si_pid] = ended.si_status
        self._hung += sum(code == signal.SIGALRM for code in codes.values())
        return [codes[pid] for pid in workers]

    def _let_another_go_on(self, stopped: int) -> int:
        other = worker.start(self._work)
        time.sleep(self._world.stopped)  # what is tried is that so much time goes by
        os.kill(stopped, signal.SIGCONT)
        return other

    def _lose_ledger(self) -> None:
        if self._world.ledger is None:
            return
        time.sleep(self._chance.uniform(0.1, 0.8))  # any moment will do
        copy = self.folder / "copy.db"
        ledger = self.folder / "ledger.db"
        if self._world.ledger == "replaced" and not copy.exists() and ledger.exists():
            with closing(sqlite3.connect(ledger)) as here, closing(sqlite3.connect(copy)) as there:
                here.backup(there)
            time.sleep(self._chance.uniform(0.1, 0.8))
        for path in self.folder.glob("ledger.db*"):
            if path.suffix != ".lock":
                path.unlink(missing_ok=True)
        if copy.exists():
            shutil.move(copy, ledger)

    def _restart_ledger(self) -> None:
        if self._postgres is not None and self._world.restarts:
            time.sleep(self._chance.uniform(0.1, 0.8))  # any moment will do
            self._postgres.restart(self._chance.choice(["fast", "immediate"]))

    def _ledger_url(self) -> str | None:
        return self._database and self._database.replace("@127.0.0.1:", f"@{self._server.address}:")

    def close(self) -> None:
        """Forgets the ledger where it is on a server; nobody need look into it any more."""
        if self._postgres is not None and self._database is not None:
            self._postgres.drop(self._database)

    def _finish(self) -> list[str]:
        work = replace(self._work, seconds=LAST_SECONDS, clock=2 * HOUR if self._world.clock else 0.0)
        last = [worker.start(work)]
        if self._world.two_keys:
            last.append(worker.start(replace(work, key="theirs")))
        return [f"the last process ended with {code}" for code in self._wait(last) if code]

    def _judge(self) -> Found:
        books, verdict = self._server.books(), self.folder / "verdict.json"

        def write(pipeline: Pipeline) -> None:
            found = judge(pipeline, books, RECORDS, cancelled=self._cancelled)
            verdict.write_text(json.dumps(asdict(found)))

        try:
            self._apart(write)
        except RuntimeError as error:
            return Found(0, 0, [f"the end could not be judged: {error}"])
        return Found(**json.loads(verdict.read_text()))

    def _crashes(self) -> list[str]:
        return [path.read_text().strip().splitlines()[-1] for path in self.folder.glob("crashes/*")]

    def _apart(self, step: Callable[[Pipeline], None]) -> None:
        """In a process of its own: the one that forks must have opened neither ledger nor warehouse."""

        def run() -> int:
            with closing(Pipeline(worker.settings_of(self._work))) as pipeline:
                step(pipeline)
            return 0

        if self._wait([fork(run, self.folder / "crashes")]) != [0]:
            raise RuntimeError("; ".join(self._crashes()))
