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
from hiddenpop.checks.influence import all_variants
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
every = all_variants(study)
variants = hp.vary(estimate, every[:SAMPLE])
lap("variants")
seconds["one variant (mean of SAMPLE)"] = seconds.pop("variants") / SAMPLE
build_report(estimate, variants, command="")
lap("figures and report")
seconds["variants in a run"] = len(every)
print(json.dumps(seconds))
""".replace("SAMPLE", "4")


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
    variants = int(cold.pop("variants in a run"))
    warm.pop("variants in a run")
    print("| stage | cold, s | warm, s |\n|---|--:|--:|")
    for name in cold:
        print(f"| {name} | {cold[name]:.1f} | {warm[name]:.1f} |")
    for label, repeats in (("without variants", 0), (f"with its {variants} variants", variants)):
        sums = [
            sum(x * (repeats if name.startswith("one variant") else 1) for name, x in of.items())
            for of in (cold, warm)
        ]
        print(f"| together, {label} | {sums[0]:.0f} | {sums[1]:.0f} |")


if __name__ == "__main__":
    main()
