"""People who use opiates or crack in Derby and in Ilkeston, from multipliers: the analysis.

Run it with the package installed: python analyses/derby-multipliers/run.py [FOLDER]
"""

import argparse
from pathlib import Path

import pandas as pd

import hiddenpop as hp

PLACES = ("derby-multipliers", "ilkeston-multipliers")


def main(folder: Path) -> dict[str, hp.FamilyFits]:
    """Estimate how many people there were in both places, and write a report for each."""
    results = {}
    for name in PLACES:
        # Table: a police figure and deaths, with the share or rate that links each to people who
        # use opiates or crack; where it is a product, data/raw/multiplier_studies.py worked it out.
        study = hp.load_size_study(name)

        # Family: all rows together, each alone, and what the others say without it.
        found = hp.fit_families(study)
        print(f"{study.title}\n{found.table().round(1).to_string(index=False)}")
        if (benchmarks := found.headline.benchmarks) is not None:
            print(benchmarks.round(2).T.to_string(header=False))

        # What is not in the answer: a bound, a count borrowed from England, other priors.
        print(further(study).round().to_string(index=False))
        print(f"P(N above {study.threshold:,.0f}) = {above(found):.2f}\n")
        results[name] = found

        # Report, tables, posterior, and everything that a rerun needs.
        hp.write_sizes(folder / name, found, f"hiddenpop run {name}")
    return results


def further(study: hp.SizeStudy) -> pd.DataFrame:
    """N from rows that are left out, alone and added; and under the family's own priors."""
    people = study.target.population or 0.0
    used, left_out = (
        hp.read_multipliers(study.folder / name, population=people)
        for name in ("benchmarks.csv", "further.csv")
    )
    cases = {"as above": (used, study.options), "with further doubts about figures": (used, {})}
    for row in left_out.rows:
        alone = hp.MultiplierTable.of(row, population=people)
        added = hp.MultiplierTable.of(*used.rows, row, population=people)
        cases |= {
            f"{row.id} alone": (alone, study.options),
            f"{row.id} added": (added, study.options),
        }
    found = []
    for what, (one, options) in cases.items():
        size = hp.fit(one, family="multiplier", **options).N()
        found.append({"what": what, "median": size.median, "low": size.low, "high": size.high})
    return pd.DataFrame(found)


def above(found: hp.FamilyFits) -> float:
    """Posterior probability that N is above the study's threshold."""
    return float((found.headline.draws() > found.study.threshold).mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "results"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    main(parser.parse_args().folder)
