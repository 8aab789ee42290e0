"""People who used crack in twelve London boroughs, 2000/01: the analysis.

Run it with the package installed: python analyses/london-2001/run.py [FOLDER]
"""

import argparse
from pathlib import Path

import hiddenpop as hp


def main(folder: Path) -> hp.FamilyFits:
    """Estimate how many people there were, and write the report."""
    # Table: none was published, only the totals of three lists and the number of different people.
    study = hp.load_size_study("london-2001")
    print(f"{study.title}: {study.table.observed:,.0f} different people seen")

    # Family: only the prior on dependence between lists can turn totals into an estimate.
    found = hp.fit_families(study)

    # Results: N, the unseen and, where residents are known, the rate: medians, 95 % intervals.
    print(found.table().round(1).to_string(index=False))
    for name, estimate in found.estimates.items():
        print(f"{name} assumes: {estimate.assumption}")

    # A family that has not converged must not be reported.
    if not found.passed:
        raise SystemExit("A fit failed its gates: no report was written.")

    # Report, tables, posteriors, and everything that a rerun needs.
    hp.write_sizes(folder, found, "hiddenpop run london-2001")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "results"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    main(parser.parse_args().folder)
