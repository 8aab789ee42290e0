"""Crack and opiate use in Ilkeston, Derby, Derbyshire and London, 2004/05: the analysis.

Run it with the package installed: python analyses/crack-2005/run.py [FOLDER]
"""

import argparse
from pathlib import Path

import hiddenpop as hp


def main(folder: Path, *, quick: bool = False) -> hp.Estimate:
    """Estimate how many people used crack, opiates or either, and write the report."""
    # Evidence: published and police figures, treatment counts, surveys and deaths, each with
    # the rates that link it to users and the bias of its source; checked before anything else.
    study = hp.load_study("crack-2005")
    used = study.data.evidence.used
    print(f"{study.title}: {used.sum()} of {len(study.data.evidence.table)} rows of evidence used")

    # Model: one joint posterior for all areas and groups (docs/methods/synthesis.md).
    # A fit that has not converged raises hp.ConvergenceError.
    estimate = hp.fit(study, quick=quick, check=not quick)

    # Results: users and rates per 1,000 residents aged 15-64, medians and 95 % intervals.
    print(estimate.table().round(1).to_string(index=False))

    # Comparisons come from the joint posterior, so errors that areas share cancel.
    for area, other, group in study.report.compare:
        found = estimate.compare(area, other, group)
        print(f"P(rate of {group} in {area} exceeds {other}) = {found.probability:.2f}")

    # What the result rests on: police figures alone, without them, and without each source.
    variants = None if quick else hp.vary(estimate)
    if variants is not None:
        crack = variants[(variants["group"] == "crack") & (variants["quantity"] == "N")]
        print(crack.pivot_table("median", "title", "area", sort=False).round().to_string())

    # Report, tables, draws, and everything that a rerun needs.
    command = "hiddenpop run crack-2005" + (" --quick" if quick else "")
    hp.write_result(folder, estimate, variants, command)
    return estimate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "results"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    parser.add_argument("--quick", action="store_true", help="few draws: for a look, not for use")
    arguments = parser.parse_args()
    main(arguments.folder, quick=arguments.quick)
