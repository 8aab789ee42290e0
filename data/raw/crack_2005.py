"""Recompute, from the shipped data sets, every derived number in the tables of crack-2005.

Published numbers stand in the study's tables as they were published. What was worked out
from them (populations, sums of deaths, brackets that a rounded percentage leaves, design
effects, assumed intervals) is worked out again here, so that nobody has to trust typing.

    python data/raw/crack_2005.py        prints each number beside the table's, fails if one differs
"""

from __future__ import annotations

import csv
import math
import tomllib
from pathlib import Path

__all__ = ["derived", "differences"]

SHIPPED = Path(__file__).parent.parent / "hiddenpop_data"
STUDY = SHIPPED / "studies" / "crack-2005"
YEARS = ("2003", "2004", "2005", "2006")
ILKESTON_2001 = 37_550  # Census 2001 urban area, ONS Key Statistics for urban areas
HALF_WIDTHS = 2 * 1.959963985  # an interval of 95 % in standard deviations


def _rows(*parts: str) -> list[dict[str, str]]:
    """Rows of one shipped CSV."""
    with SHIPPED.joinpath(*parts).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _by_id(dataset: str, table: str) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in _rows("datasets", dataset, table)}


def _log_width(low: float, high: float) -> float:
    return math.log(high / low)


def _population(table: str, area: str, year: int, ages: str) -> int:
    """Mid-year residents of one area at one age band."""
    for row in _rows("datasets", "ons-population-1999-2020", table):
        if row["area"] == area and row["year"] == str(year):
            return int(row[ages])
    raise KeyError(f"no population of {area} in {year}")


def _authority(area: str, year: int, ages: str) -> int:
    return _population("authorities.csv", area, year, ages)


def _areas() -> dict[str, float]:
    """Residents aged 15-64 of every area of the study."""
    found: dict[str, float] = {
        f"areas.{name}.population": _authority(name, 2004, "15-64")
        for name in ("London", "Derbyshire", "Derby", "Erewash")
    }
    found["areas.England.population"] = _population("regions.csv", "England", 2004, "15-64")
    share = _authority("Erewash", 2001, "15-64") / _authority("Erewash", 2001, "all")
    town = ILKESTON_2001 * share
    found["areas.Ilkeston.population"] = round(town)
    found["areas.Ilkeston.low"] = round(0.95 * town, -2)
    found["areas.Ilkeston.high"] = round(1.05 * town, -2)
    claimed = float(_by_id("newspaper-2005", "claims.csv")["ilk_pop"]["value"])
    found["variants.town-15000.Ilkeston"] = round(claimed * share)
    return found | _twelve_boroughs()


def _twelve_boroughs() -> dict[str, float]:
    """Residents aged 15-64 in 2004 of boroughs that the abstract does not name.

    Users divided by prevalence are residents aged 15-44 in 2001; the ratio of a larger
    area carries them to 15-64 in 2004. The ends of the interval take the ends of the
    rounded prevalence (1.5 %) and the ratios of Inner and of Outer London.
    """
    estimates = _by_id("uk-published-estimates", "estimates.csv")
    users = float(estimates["hope_12b"]["observed"]) + float(estimates["hope_unseen"]["estimate"])
    percent = float(estimates["hope_12b"]["rate"])

    def residents(rate: float, like: str) -> float:
        ratio = _authority(like, 2004, "15-64") / _authority(like, 2001, "15-44")
        return round(users / (rate / 100) * ratio, -3)

    return {
        "areas.London 12 boroughs.population": residents(percent, "London"),
        "areas.London 12 boroughs.low": residents(percent + 0.05, "Inner London"),
        "areas.London 12 boroughs.high": residents(percent - 0.05, "Outer London"),
    }


def _deaths() -> dict[str, float]:
    """Poisoning deaths registered in 2003 to 2006, in areas that do not overlap."""
    total: dict[str, int] = {}
    for row in _rows("datasets", "ons-drug-poisoning-deaths", "deaths.csv"):
        if row["year"] in YEARS:
            total[row["area"]] = total.get(row["area"], 0) + int(row["deaths"])
    county = total["Derbyshire county"]
    return {
        "evidence.deaths_rest_england.value": total["England"]
        - total["London"]
        - total["Derby"]
        - county,
        "evidence.deaths_london.value": total["London"],
        "evidence.deaths_derby.value": total["Derby"],
        "evidence.deaths_rest_derbyshire.value": county - total["Erewash"],
        "evidence.deaths_erewash.value": total["Erewash"],
    }


def _treatment() -> dict[str, float]:
    """Opiate clients: the article's two parts, and a rounded percentage of all clients."""
    found = {
        (row["period"], row["quantity"]): float(row["value"])
        for row in _rows("datasets", "treatment-national-england", "treatment.csv")
    }
    agency, year = "c. 2003/04", "2004/05"
    clients = found[year, "clients in NDTMS (all drugs, individuals)"]
    percent = found[year, "percent main drug heroin"] + found[year, "percent main drug methadone"]
    return {
        "evidence.nta_opiate.value": found[agency, "primary heroin users in treatment"]
        + found[agency, "in treatment using both crack and heroin"],
        "evidence.tp_crack.value": found[agency, "primary crack users in treatment"],
        "evidence.ndtms_opiate_0405.value": round(clients * percent / 100),
        # The North West is missing: three points either way are assumed.
        "evidence.ndtms_opiate_0405.low": round(clients * (percent - 3) / 100),
        "evidence.ndtms_opiate_0405.high": round(clients * (percent + 3) / 100),
    }


def _survey() -> dict[str, float]:
    """Brackets for respondents behind percentages rounded to 0.1, and their design effect."""
    shares = {row["year"]: row for row in _rows("datasets", "bcs-last-year-use", "percentages.csv")}
    found: dict[str, float] = {}
    numbers = _rows("datasets", "bcs-last-year-use", "numbers.csv")
    last = next(row for row in numbers if row["drug"] == "crack" and row["year"] == "2002-03")
    relative_sd = _log_width(float(last["low"]), float(last["high"])) / HALF_WIDTHS
    respondents = (
        float(shares["2002-03"]["crack"]) / 100 * int(shares["2002-03"]["unweighted_base"])
    )
    # About 1.4; up to the next half, as the percentage behind it is rounded.
    design = math.ceil(2 * respondents * relative_sd**2) / 2
    for year, name in (("2003-04", "0304"), ("2004-05", "0405"), ("2005-06", "0506")):
        base = int(shares[year]["unweighted_base"])
        for drug in ("crack", "heroin"):
            percent = float(shares[year][drug])
            row = f"evidence.bcs_{drug}_{name}"
            found[f"{row}.low"] = math.ceil((percent - 0.05) / 100 * base)
            found[f"{row}.high"] = math.floor((percent + 0.05) / 100 * base)
            found[f"{row}.n"] = base
            found[f"{row}.design_effect"] = design
    return found


def _official() -> dict[str, float]:
    """Design effects and assumed intervals of published estimates."""
    estimates = _by_id("uk-published-estimates", "estimates.csv")

    def width(name: str) -> float:
        return _log_width(float(estimates[name]["low"]), float(estimates[name]["high"]))

    revised = width("eng_ocu_1819")
    found: dict[str, float] = {
        f"evidence.{name}.design_effect": round((revised / width("eng_ocu_0405")) ** 2, 1)
        for name in ("eng_ocu_0405", "eng_opi_0405", "eng_crack_0405")
    }
    london = float(estimates["lon_ocu_0607"]["estimate"])
    found["evidence.lon_ocu_0607.low"] = round(london / math.exp(revised), -2)
    found["evidence.lon_ocu_0607.high"] = round(london * math.exp(revised), -2)
    indicator = float(estimates["eng_pdu_2001"]["estimate"])
    found["evidence.eng_pdu_2001.low"] = round(indicator * 3 / 4, -3)
    found["evidence.eng_pdu_2001.high"] = round(indicator * 4 / 3, -3)
    seen = int(estimates["hope_12b"]["observed"])
    share = float(estimates["hope_opi"]["rate"]) / 100
    relative_variance = 2 * (width("hope_12b") / HALF_WIDTHS) ** 2  # of the odds: two totals
    found["evidence.hope_opi.value"] = round(share * seen)
    found["evidence.hope_opi.n"] = seen
    found["evidence.hope_opi.design_effect"] = round(seen * share * (1 - share) * relative_variance)
    return found


def _police() -> dict[str, float]:
    """Assumed own intervals: a factor either way of numbers given without one."""
    claims = _by_id("newspaper-2005", "claims.csv")
    earlier = _by_id("uk-published-estimates", "estimates.csv")["derbys_heroin_2001"]["estimate"]
    values = {name: float(claims[name]["value"]) for name in ("derbys_heroin", "derbys_crack")}
    values |= {"ilk_crack": float(claims["ilk_crack"]["value"])}
    values |= {"derbys_heroin_2001": float(earlier)}
    values |= {"derby_crack": float(claims["derby_crack"]["value"])}
    found: dict[str, float] = {}
    for name, value in values.items():
        factor = 1.75 if name == "derby_crack" else 1.5
        found[f"evidence.{name}.value"] = value
        found[f"evidence.{name}.low"] = round(value / factor, -1)
        found[f"evidence.{name}.high"] = round(value * factor, -1)
    return found


def _rates() -> dict[str, float]:
    """Ends of two priors that are arithmetic on published numbers."""
    residents = {
        ages: _population("regions.csv", "England", 2004, ages) for ages in ("15-64", "16-59")
    }
    ratio = residents["15-64"] / residents["16-59"]
    deaths = [
        row
        for row in _rows("datasets", "ons-drug-poisoning-deaths", "opiate_share.csv")
        if row["area"] == "England"
    ]
    opiate = sum(int(row["any_opiate"]) for row in deaths)
    opiate_share = opiate / sum(int(row["all_poisonings"]) for row in deaths)
    return {
        "rates.age_16_59.low": round(0.93 * ratio, 2),
        "rates.age_16_59.high": round(0.995 * ratio, 2),
        # Opioid mortality of injectors times the share injecting, over the opiate share.
        "rates.poisonings_per_opiate_user_4y.low": round(4 * 0.005 / 3 / opiate_share, 3),
        "rates.poisonings_per_opiate_user_4y.high": round(4 * 0.02 * 0.7 / opiate_share, 2),
    }


def derived() -> dict[str, float]:
    """Every derived number, keyed by table, row and column: "evidence.deaths_derby.value"."""
    return _areas() | _deaths() | _treatment() | _survey() | _official() | _police() | _rates()


def differences() -> list[str]:
    """Sentences about numbers in the study's tables that differ from `derived`; none is good."""
    columns = {"areas": "name", "evidence": "id", "rates": "name"}
    tables = {
        table: {row[column]: row for row in _rows("studies", "crack-2005", f"{table}.csv")}
        for table, column in columns.items()
    }
    study = tomllib.loads((STUDY / "study.toml").read_text(encoding="utf-8"))
    variants = {variant["name"]: variant for variant in study["variants"]}
    found = []
    for key, value in derived().items():
        table, _, rest = key.partition(".")
        row, _, column = rest.rpartition(".")
        if table == "variants":
            stands = float(variants[row]["population"][column])
        else:
            stands = float(tables[table][row][column])
        if stands != value:
            found.append(f"{key}: the table has {stands:g}, the data sets give {value:g}")
    return found


if __name__ == "__main__":
    for key, value in derived().items():
        print(f"{value:>14,.10g}  {key}")
    if faults := differences():
        raise SystemExit("\n".join(faults))
