"""How long the capture-recapture families take, against the plain way to do the same.

Run by hand on a machine that does nothing else: python benchmarks/recapture.py
One core, warm, medians of 20 calls, in the same run as their peer: the same quantity worked out
one model at a time in numpy. Compiling is timed in processes of their own, with nothing compiled
before. Prints Markdown tables for docs/timing.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

import hiddenpop as hp
from hiddenpop.datasets import find_dataset
from hiddenpop.families.averaging.selection import bootstrap
from hiddenpop.families.maths.hierarchy import hierarchical_models, terms
from hiddenpop.size import fit_table

REPEATS = 20

COMPILE = """
import time
import hiddenpop as hp
from hiddenpop.datasets import find_dataset
from hiddenpop.families import FAMILIES
from hiddenpop.inference import Sampler
path = find_dataset("brighton-2000").folder / "total.csv"
table = hp.read_overlap(path, ["treat", "arrest", "exchange", "survey"], count="people")
module = FAMILIES["loglinear"].module
start = time.perf_counter()
Sampler(module.build_model(table, module.Priors())).compile()
print(time.perf_counter() - start)
"""


def read(dataset: str, file: str) -> hp.OverlapTable:
    """A shipped table; every column but the last is a list."""
    path = find_dataset(dataset).folder / file
    text = path.read_text(encoding="utf-8").splitlines()
    header = next(line for line in text if not line.startswith("#")).split(",")
    return hp.read_overlap(path, header[:-1], count=header[-1])


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median seconds of a call, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def one_by_one(table: hp.OverlapTable, order: int | None, most: int) -> tuple[float, int]:
    """Seconds to fit models by maximum likelihood one after the other, and how many there are.

    Newton's method on a dense design matrix, as one would write it first; at most `most` models
    are timed and the rest counted as taking as long.
    """
    counts = table.dense()[0, 1:]
    lists = len(table.lists)
    masks = np.array(terms(lists, order))
    codes = np.arange(1, 2**lists)
    design = (codes[:, None] & masks) == masks
    models = hierarchical_models(lists, order)
    start = time.perf_counter()
    for model in models[:: max(1, len(models) // most)][:most]:
        X = np.column_stack([np.ones(len(codes)), design[:, model]]).astype(float)
        mean = counts + 0.5
        for _ in range(25):
            working = np.log(mean) + (counts - mean) / mean
            beta = np.linalg.lstsq(X * np.sqrt(mean)[:, None], working * np.sqrt(mean))[0]
            mean = np.exp(np.clip(X @ beta, -30, 30))
    taken = time.perf_counter() - start
    return taken / min(most, len(models)) * len(models), len(models)


def cold_compile() -> float:
    """Seconds to compile the sampled log-linear model where nothing was compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "PYTENSOR_FLAGS": f"base_compiledir={folder}", "NUMBA_CACHE_DIR": f"{folder}/numba",
        }  # fmt: skip
        found = subprocess.run(
            [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
    return float(found.stdout.splitlines()[-1])


def main() -> None:
    """Time everything and print the table."""
    five, six = read("uk-2013", "five-lists.csv"), read("uk-2013", "six-lists.csv")
    four = read("kosovo-1999", "table.csv")
    rows: list[tuple[str, float, str, str]] = []

    taken = seconds(lambda: fit_table(five, "loglinear-average"))
    peer, models = one_by_one(five, None, 200)
    rows.append((f"loglinear-average, BIC: all {models:,} models of five lists, posterior of N",
                 taken, "1 s", f"{peer / taken:.0f} (one model after the other)"))  # fmt: skip
    pairs = {"order": 2}
    taken = seconds(lambda: fit_table(five, "loglinear-average", options=pairs))
    peer, models = one_by_one(five, 2, 200)
    rows.append((f"loglinear-average, BIC: the {models:,} pairwise models of five lists",
                 taken, "", f"{peer / taken:.0f} (one model after the other)"))  # fmt: skip
    proper = {"order": 2, "estimator": "sbh"}
    taken = seconds(lambda: fit_table(four, "loglinear-average", options=proper))
    ess = fit_table(four, "loglinear-average", options=proper).tree.attrs["importance_ess"]
    what = f"loglinear-average, SBH: 64 pairwise models of four lists, effective sample {ess:,.0f}"
    rows.append((what, taken, "0.5 s, 20,000", ""))
    for table, aim in ((four, ""), (five, "0.1 s"), (six, "")):
        taken = seconds(lambda table=table: fit_table(table, "graphs"))
        rows.append(
            (f"graphs: all decomposable graphs of {len(table.lists)} lists", taken, aim, "")
        )
    taken = seconds(lambda: bootstrap(five, replicates=1000), repeats=3)
    what = "bootstrap of the selected model, 1,000 replicates, five lists (median of 3)"
    rows.append((what, taken, "10 s", ""))
    what = "loglinear (PyMC): compile, nothing compiled before, four lists (once)"
    rows.append((what, cold_compile(), "12 s", ""))
    print("| what | seconds | aim | times faster than |")
    print("|---|--:|--:|--:|")
    for what, taken, aim, ratio in rows:
        print(f"| {what} | {taken:.3g} | {aim} | {ratio} |")
    print(json.dumps({what: taken for what, taken, _, _ in rows}), file=sys.stderr)


if __name__ == "__main__":
    # One thread, said before numpy starts its own: the process replaces itself once.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if not single.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | single)
    main()
