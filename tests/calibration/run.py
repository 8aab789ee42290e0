"""Run the studies of calibration and coverage; stop at any moment, start again, nothing is lost.

python tests/calibration/run.py --quick            a first look: 20 minutes on two cores at most
python tests/calibration/run.py                    everything, two to three hours
python tests/calibration/run.py --only graphs      one study, or several
python tests/calibration/run.py --list             what there is, and nothing is run
python tests/calibration/run.py --report           tables and figures from what is there

Replicates are added to results/calibration/ranks.csv and coverage.csv as they are made. Each has
random numbers of its own, by study, regime and number, so that the order, the number of workers
and interruptions change nothing; a quick run is the beginning of a full one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# Before numpy is imported, here and in the workers: each has one core.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

from calibrate.areas import areas_regimes, coverage_areas  # noqa: E402
from calibrate.coverage import coverage_regimes  # noqa: E402
from calibrate.exact import exact_regimes  # noqa: E402
from calibrate.latent import latent_regimes  # noqa: E402
from calibrate.loglinear import loglinear_regimes  # noqa: E402
from calibrate.pages import COVERAGE_COLUMNS, RANK_COLUMNS, write_report  # noqa: E402
from calibrate.regime import Regime, Replicate, Row  # noqa: E402
from calibrate.store import SEED, Store, seeded  # noqa: E402
from calibrate.synthesis import synthesis_regimes  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import (  # noqa: E402
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table  # noqa: E402

from hiddenpop.files import whole  # noqa: E402
from hiddenpop.inference import versions  # noqa: E402

__all__ = ["main", "regimes", "run"]

OUT = HERE.parents[1] / "results" / "calibration"

Key = tuple[str, str]

PIECE_SECONDS = 20.0
"""About how long a worker computes before it hands replicates over."""


@cache
def regimes() -> dict[Key, Regime]:
    """Every regime of every study."""
    every = (
        *exact_regimes(), *loglinear_regimes(), *areas_regimes(), *synthesis_regimes(),
        *coverage_areas(), *latent_regimes(), *coverage_regimes(),
    )  # fmt: skip
    return {regime.key: regime for regime in every}


@cache
def _made(key: Key) -> Replicate:
    """The function of a regime, compiled once in each process."""
    return regimes()[key].make()


def piece(key: Key, replicates: Sequence[int]) -> list[tuple[int, list[Row]]]:
    """Run replicates until they are done or time is up; at least one."""
    begin, found = time.monotonic(), []
    run_one = _made(key)
    for replicate in replicates:
        try:
            rows = run_one(seeded(*key, replicate))
        except Exception as error:  # noqa: BLE001 - one data set must not end the study
            text = f"error: {type(error).__name__}: {error}".replace("\n", " ")[:200]
            what = {"family": "all"} if _covers(key) else {"quantity": "N"}
            rows = [what | {"status": text}]
        found.append((replicate, rows))
        if time.monotonic() - begin > PIECE_SECONDS:
            break
    return found


def wanted(quick: bool, only: Sequence[str]) -> dict[Key, int]:
    """Replicates asked for, by study and regime.

    Raises
    ------
    SystemExit
        If a name of `only` is neither a study nor a regime.
    """
    names = {name for key in regimes() for name in key}
    unknown = sorted(set(only) - names)
    if unknown:
        raise SystemExit(f"There is no study or regime {', '.join(unknown)}: see --list.")
    return {
        key: regime.quick if quick else regime.full
        for key, regime in regimes().items()
        if not only or set(only) & set(key)
    }


def run(out: Path, asked: dict[Key, int], workers: int, console: Console) -> None:
    """Run what is not there yet."""
    stores, sitting = stores_in(out), Sitting(out, workers)
    done = {store: store.done() for store in set(stores.values())}
    left = {
        key: [r for r in range(count) if r not in done[store_of(stores, key)].get(key, set())]
        for key, count in asked.items()
    }
    context = multiprocessing.get_context("spawn")
    columns = (TextColumn("{task.description:42}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with (
        Progress(*columns, console=console) as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool,
    ):
        every, rest = sum(asked.values()), sum(map(len, left.values()))
        total = progress.add_task("all", total=every, completed=every - rest)
        for key, results in _pieces(pool, left, workers):
            progress.update(total, description=", ".join(key))
            for replicate, rows in results:
                store_of(stores, key).append(*key, replicate, rows)
                progress.advance(total)
            sitting.note()


class Sitting:
    """Notes in `run.json` who computed what is in the tables: versions, workers, time.

    One entry for each start of the command, brought up to date as replicates come, so that it is
    there however a run ends.
    """

    def __init__(self, out: Path, workers: int) -> None:
        self.path = out / "run.json"
        self.begun = datetime.now(UTC)
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else "[]"
        self.before = json.loads(text)
        self.about = {"workers": workers, "seed": SEED, "versions": versions()}

    def note(self) -> None:
        """Write the time that has passed."""
        minutes = (datetime.now(UTC) - self.begun).total_seconds() / 60
        when = {"begun": self.begun.isoformat(timespec="seconds"), "minutes": round(minutes, 1)}
        text = json.dumps([*self.before, when | self.about], indent=1) + "\n"
        with whole(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _quiet() -> None:
    """Ctrl-C is for the process that writes; and a worker's warnings are not news.

    What a warning warns of ends in an error, a failed gate or a rank.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")


def _pieces(
    pool: ProcessPoolExecutor, left: dict[Key, list[int]], workers: int
) -> Iterator[tuple[Key, list[tuple[int, list[Row]]]]]:
    """Results as they come. Each worker keeps to one regime as long as there are others to do."""
    queue = [key for key, numbers in left.items() if numbers]
    running: dict[Future[list[tuple[int, list[Row]]]], tuple[Key, list[int]]] = {}
    while queue or running:
        while queue and len(running) < workers:
            key = queue.pop(0)
            numbers = left[key]
            running[pool.submit(piece, key, numbers)] = (key, numbers)
        ready, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ready:
            key, numbers = running.pop(future)
            results = future.result()
            left[key] = numbers[len(results) :]
            if left[key]:
                queue.insert(0, key)
            yield key, results


def stores_in(out: Path) -> dict[str, Store]:
    """The two tables."""
    return {
        "ranks": Store(out / "ranks.csv", RANK_COLUMNS),
        "coverage": Store(out / "coverage.csv", COVERAGE_COLUMNS),
    }


def store_of(stores: dict[str, Store], key: Key) -> Store:
    """Where a study's replicates go."""
    return stores["coverage" if _covers(key) else "ranks"]


def _covers(key: Key) -> bool:
    """Whether a study asks how often intervals hold the truth."""
    return key[0].startswith("coverage")


def listing() -> Table:
    """Every regime with its numbers of replicates."""
    table = Table("study", "regime", "quick", "full", "about")
    for regime in regimes().values():
        table.add_row(regime.study, regime.name, f"{regime.quick}", f"{regime.full}", regime.about)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="few replicates: a first look")
    parser.add_argument("--only", nargs="+", default=[], help="studies or regimes")
    parser.add_argument("--replicates", type=int, help="so many of each, in place of the plan's")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    parser.add_argument("--list", action="store_true", help="show what there is")
    parser.add_argument("--report", action="store_true", help="only tables and figures")
    given = parser.parse_args(arguments)
    console = Console()
    if given.list:
        console.print(listing())
        return
    asked = wanted(given.quick, given.only)
    if given.replicates is not None:
        asked = dict.fromkeys(asked, given.replicates)
    if not given.report:
        try:
            run(given.out, asked, given.workers, console)
        except KeyboardInterrupt:
            console.print("Stopped. The same command goes on from here.")
            raise SystemExit(130) from None
    stores = stores_in(given.out)
    failed = write_report(given.out, stores["ranks"].read(), stores["coverage"].read())
    console.print((given.out / "summary.md").read_text(encoding="utf-8"))
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
