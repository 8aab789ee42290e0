"""People who injected drugs in Scotland, 2006: the analysis.

Run it with the package installed: python analyses/scotland-2006/run.py [FOLDER]
"""

import argparse
from pathlib import Path

import hiddenpop as hp


def main(folder: Path) -> hp.FamilyFits:
    """Estimate how many people there were, and write the report."""
    # Table: four registers by region, sex and age. Those known only to the hepatitis C database may
    # no longer inject: their counts are upper bounds, not counts.
    study = hp.load_size_study("scotland-2006")
    print(f"{study.title}: {study.table.observed:,.0f} different people seen")

    # Families: those that can use a bound; the others are refused with the reason.
    found = hp.fit_families(study)

    # Results: N, the unseen and, where residents are known, the rate: medians, 95 % intervals.
    print(found.table().round(1).to_string(index=False))
    for name, estimate in found.estimates.items():
        print(f"{name} assumes: {estimate.assumption}")

    # A family that has not converged must not be reported.
    if not found.passed:
        raise SystemExit("A fit failed its gates: no report was written.")

    # Report, tables, posteriors, and everything that a rerun needs.
    hp.write_sizes(folder, found, "hiddenpop run scotland-2006")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "results"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    main(parser.parse_args().folder)
