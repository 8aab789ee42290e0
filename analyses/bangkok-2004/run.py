"""People who inject drugs in Bangkok, 2004, and a second city to compare: the analysis.

Run it with the package installed: python analyses/bangkok-2004/run.py [FOLDER]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

import hiddenpop as hp

ASSUMED = (2.0, 4.0)
"""Design effects that nobody stated for these surveys: 2 is often assumed, 4 often advised."""

Z = 1.96


def main(folder: Path) -> hp.FamilyFits:
    """Estimate how many people there were, and write the report."""
    # Table: 1,981 people in treatment, and the share of a survey's respondents in treatment.
    study = hp.load_size_study("bangkok-2004")

    # Family: the benchmark multiplier, computed without drawing. The prior on the share is the
    # stated interval, that on the size is 1/N.
    found = hp.fit_families(study)
    print(found.table().round(1).to_string(index=False))
    estimate = found.headline
    for sentence in (estimate.assumption, *estimate.notes):
        print(sentence)

    # The published method, by hand: the count over the share and over the ends of its interval.
    print(plain_method(study).round(4).to_string(index=False))

    # What the answer would be if the survey knew less than it says, or recruited otherwise.
    print(readings(study).round().to_string(index=False))

    # Another city: two ways of marking people, met again in one survey. Its design effect is not
    # known; the ones used here are assumed.
    print(hai_phong().round(2).to_string(index=False))

    # Report, tables, posterior, and everything that a rerun needs.
    hp.write_sizes(folder, found, "hiddenpop run bangkok-2004")
    return found


def plain_method(study: hp.SizeStudy) -> pd.DataFrame:
    """The printed count over the printed shares, and the shares behind the published sizes."""
    (published,), (row, quantiles) = study.published, benchmark(study)
    shares = {"low": quantiles[0.975], "N": quantiles[0.5], "high": quantiles[0.025]}
    return pd.DataFrame(
        {
            "size": name,
            "printed share": share,
            "count over share": row.value / share,
            "published": getattr(published, name),
            "share behind it": row.value / getattr(published, name),
        }
        for name, share in shares.items()
    )


def readings(study: hp.SizeStudy) -> pd.DataFrame:
    """N if the survey's interval is read in other ways. Design effects and odds are assumed."""
    row, quantiles = benchmark(study)
    low, share, high = (quantiles[q] for q in (0.025, 0.5, 0.975))
    asked = 963
    # The number of people whose simple random sample has the stated interval.
    alike = share * (1 - share) * (2 * Z / (high - low)) ** 2
    cases = {
        "the interval as stated": row,
        "963 people as a simple random sample": with_survey(row, share, asked, 1.0),
        **{
            f"963 people, design effect {effect:g}": with_survey(row, share, asked, effect)
            for effect in ASSUMED
        },
        "the interval as of a simple sample, design effect 4": with_survey(row, share, alike, 4.0),
        "as stated, treated people over-recruited at odds 1 to 2": replace(
            row, selection=hp.Interval(1.0, 2.0, 0.95)
        ),
    }
    return pd.DataFrame([sized(hp.MultiplierTable.of(one), what) for what, one in cases.items()])


def hai_phong() -> pd.DataFrame:
    """N of Hai Phong in 2016 from two kinds of marks, by the assumed design effect."""
    marks = hp.read_dataset("hai-phong-2016")["benchmarks"].to_dict("records")
    found = []
    for effect in (1.0, *ASSUMED):
        # Both shares come from the same respondents; how many had both marks was not published.
        rows = [
            hp.Benchmark.counted(
                mark["id"], mark["count"], survey=mark["survey"],
                rate=hp.Rate(mark["x"], mark["n"], effect, stated_effect=True),
            )
            for mark in marks
        ]  # fmt: skip
        found.append(sized(hp.MultiplierTable.of(*rows), f"design effect {effect:g}"))
    return pd.DataFrame(found)


def benchmark(study: hp.SizeStudy) -> tuple[hp.Benchmark, dict[float, float]]:
    """The one row of the study, and the quantiles of its share."""
    (row,) = hp.read_multipliers(study.folder / "benchmarks.csv").rows
    return row, dict(row.rate.quantiles) if row.rate else {}


def with_survey(row: hp.Benchmark, share: float, asked: float, effect: float) -> hp.Benchmark:
    """The same count with a share of so many respondents."""
    return replace(row, rate=hp.Rate(share * asked, asked, effect, stated_effect=True))


def sized(table: hp.MultiplierTable, what: str) -> dict[str, object]:
    """N of a table as a row."""
    size = hp.fit(table, family="multiplier").N()
    return {"what": what, "median": size.median, "low": size.low, "high": size.high}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "results"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    main(parser.parse_args().folder)
