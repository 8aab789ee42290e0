"""Where the time of `hiddenpop run crack-2005` goes, cold and warm.

Run by hand on a machine that does nothing else: python benchmarks/main_study.py
Cold means that nothing was ever compiled: the compiled code goes to an empty folder. Warm is a
second process that finds it there. Prints a Markdown table for docs/timing.md.
"""

import json
import os
import subprocess
import sys
import tempfile

STAGES = """
import json, time
start = time.perf_counter()
seconds = {}

def lap(name):
    global start
    now = time.perf_counter()
    seconds[name] = now - start
    start = now

import hiddenpop as hp
from hiddenpop.estimate import build
from hiddenpop.inference import Sampler
from hiddenpop.report import build_report
lap("import")
study = hp.load_study("crack-2005")
lap("read and check the study")
sampler = Sampler(build(study))
sampler.compile()
lap("compile the model")
estimate = hp.fit(study, sampler=sampler, check=False)
lap("sample the main fit")
estimate.verdict
lap("judge it")
variants = hp.vary(estimate)
lap(f"{variants['variant'].nunique() - 1} variants")
report = build_report(estimate, variants, command="")
lap("figures and report")
print(json.dumps(seconds))
"""


def run(folder: str) -> dict[str, float]:
    """Seconds of each stage in a process of its own that compiles into `folder`."""
    environment = os.environ | {"PYTENSOR_FLAGS": f"base_compiledir={folder}"}
    found = subprocess.run(
        [sys.executable, "-c", STAGES], env=environment, capture_output=True, text=True, check=True
    )
    seconds: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    """Time one cold and one warm run."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = run(folder), run(folder)
    print("| stage | cold, s | warm, s |\n|---|--:|--:|")
    for name in cold:
        print(f"| {name} | {cold[name]:.1f} | {warm[name]:.1f} |")
    print(f"| together | {sum(cold.values()):.0f} | {sum(warm.values()):.0f} |")


if __name__ == "__main__":
    main()
