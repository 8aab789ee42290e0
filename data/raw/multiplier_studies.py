"""Work out the tables of the studies of multipliers from the shipped data sets, and check them.

A row of benchmarks has one share or rate. Where a number is linked to the target by two things
(deaths per opiate user, and the share of users who take opiates), the quantiles of their product
are worked out here by quadrature, so that nobody has to trust typing.

    python data/raw/multiplier_studies.py           writes the tables and prints what was worked out
    python data/raw/multiplier_studies.py --check   fails if a table differs from what stands here

The inputs are the data sets, and the rates, biases, areas and evidence of the study crack-2005.
What is assumed here and stands nowhere else is at the top.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from hiddenpop.priors import beta_from_interval, lognormal_from_interval

__all__ = ["PROBABILITIES", "derived", "differences", "tables"]

SHIPPED = Path(__file__).parent.parent / "hiddenpop_data"
PROBABILITIES = (0.025, 0.5, 0.975)
LEVEL = 0.95
Z = 1.959963984540054

BETWEEN_PLACES = 0.5
"""Assumed sd between places of the log-odds of a group among users, and of the log of treatment
per resident: the scale at which the study crack-2005 lets places differ."""

TOWN_OVER_REST = 2.0
"""Assumed factor, either way at 95 %, of prevalence in Ilkeston over the rest of Erewash."""

ROUND = 3
"""Significant figures of what is written."""

Row = dict[str, str]
Nodes = tuple[np.ndarray, np.ndarray]
"""Values and weights of a distribution."""

COLUMNS = ("id", "kind", "count", "interval", "quantiles", "error", "source", "note")


class Share(NamedTuple):
    """A share whose logit is normal."""

    centre: float
    sd: float

    def at(self, probability: float) -> float:
        return float(
            special.expit(special.logit(self.centre) + self.sd * stats.norm.ppf(probability))
        )

    @property
    def nodes(self) -> Nodes:
        """Gauss-Hermite, which is exact here to far more figures than are written."""
        x, weight = np.polynomial.hermite_e.hermegauss(80)
        values = special.expit(special.logit(self.centre) + self.sd * x)
        return np.asarray(values), np.asarray(weight / weight.sum())


def _rows(*parts: str) -> list[Row]:
    with SHIPPED.joinpath(*parts).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _crack(table: str, key: str) -> dict[str, Row]:
    """Rows of a table of the study crack-2005."""
    return {row[key]: row for row in _rows("studies", "crack-2005", f"{table}.csv")}


EVIDENCE, RATES, BIASES, AREAS = (
    _crack(table, key)
    for table, key in (("evidence", "id"), ("rates", "name"), ("biases", "name"), ("areas", "name"))
)


def _number(row: Row, column: str = "value") -> float:
    return float(row[column])


def _range(row: Row) -> str:
    """An interval as a cell of a table of benchmarks."""
    return f"{float(row['low']):g} to {float(row['high']):g} at {float(row['level']):g}"


def _relative_sd(row: Row) -> float:
    """Sd of an official figure on the log scale, with its design effect."""
    width = math.log(_number(row, "high") / _number(row, "low")) / (2 * Z)
    return width * math.sqrt(_number(row, "design_effect"))


def share_of_users(group: str) -> Share:
    """Share of a place's users of opiates or crack who are in a group.

    England's official figures, as if the users in the group and the others had each been estimated
    with the relative error of the published figure (as for a share in crack-2005), and places
    that differ.
    """
    part, whole = EVIDENCE[group], EVIDENCE["eng_ocu_0405"]
    error = math.sqrt(2) * _relative_sd(part)
    return Share(_number(part) / _number(whole), math.hypot(error, BETWEEN_PLACES))


def share_of_borough() -> Share:
    """Share of Erewash's users who live in Ilkeston: its residents, and a rate that may differ."""
    town, borough = AREAS["Ilkeston"], AREAS["Erewash"]
    share = _number(town, "population") / _number(borough, "population")
    own = math.log(_number(town, "high") / _number(town, "low")) / (2 * Z)
    return Share(share, math.hypot(math.log(TOWN_OVER_REST) / Z, own / (1 - share)))


def _rate(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Distribution function of a rate of the study crack-2005."""
    row = RATES[name]
    ends = float(row["low"]), float(row["high"]), float(row["level"])
    if row["kind"] == "share":
        alpha, beta = beta_from_interval(*ends)
        return lambda x: np.asarray(stats.beta.cdf(x, alpha, beta))
    mu, sigma = lognormal_from_interval(*ends)
    return lambda x: np.asarray(stats.norm.cdf((np.log(x) - mu) / sigma))


def _times(*factors: Nodes) -> Nodes:
    """The product of independent factors."""
    values, weights = np.ones(1), np.ones(1)
    for value, weight in factors:
        values = np.multiply.outer(values, value).ravel()
        weights = np.multiply.outer(weights, weight).ravel()
    return values, weights


def product_quantiles(rate: str, *shares: Nodes) -> list[float]:
    """Quantiles of a rate times shares: P(rate x share < q) is a sum over the shares."""
    below, (values, weights) = _rate(rate), _times(*shares)
    typical = math.sqrt(float(RATES[rate]["low"]) * float(RATES[rate]["high"]))

    def gap(log_q: float, probability: float) -> float:
        return float(weights @ below(np.exp(log_q) / values)) - probability

    centre = math.log(typical)
    return [
        math.exp(optimize.brentq(gap, centre - 8, centre + 8, args=(p,), xtol=1e-12))
        for p in PROBABILITIES
    ]


def _inverse(nodes: Nodes) -> Nodes:
    return 1 / nodes[0], nodes[1]


def _figures(value: float, figures: int = ROUND) -> str:
    """A number with so many significant figures, without an exponent."""
    places = max(figures - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{round(value, figures - 1 - math.floor(math.log10(abs(value)))):.{places}f}"


def _cell(quantiles: Sequence[float]) -> str:
    return ", ".join(f"{p:g}: {_figures(q)}" for p, q in zip(PROBABILITIES, quantiles, strict=True))


def derived() -> dict[str, list[float]]:
    """Quantiles at `PROBABILITIES` of each share or rate that is worked out."""
    crack, opiate = share_of_users("eng_crack_0405"), share_of_users("eng_opi_0405")
    deaths = "poisonings_per_opiate_user_4y"
    return {
        "crack share": [crack.at(p) for p in PROBABILITIES],
        "opiate share": [opiate.at(p) for p in PROBABILITIES],
        "Ilkeston's share of Erewash": [share_of_borough().at(p) for p in PROBABILITIES],
        "deaths per user": product_quantiles(deaths, opiate.nodes),
        "Erewash's deaths per user in Ilkeston": product_quantiles(
            deaths, opiate.nodes, _inverse(share_of_borough().nodes)
        ),
        "treated opiate users per user": product_quantiles("treated_opiate", opiate.nodes),
        "pounds per user": product_quantiles("spend_crack_per_year", crack.nodes),
    }


def borrowed_treatment(area: str) -> float:
    """England's opiate clients of 2004/05, scaled by residents."""
    clients, england = EVIDENCE["ndtms_opiate_0405"], AREAS["England"]
    share = _number(AREAS[area], "population") / _number(england, "population")
    return _number(clients) * share


def _row(id_: str, kind: str, **cells: str) -> Row:
    return {"id": id_, "kind": kind, **cells}


def _ends(name: str) -> str:
    """The interval of a rate of crack-2005 in words."""
    low, high = (_number(RATES[name], end) for end in ("low", "high"))
    return f"{low:,g} to {high:,g}"


ENGLAND_SHARE = (
    "That share is England's in the official figures of 2004/05 with their widened error; that it "
    f"differs between places with a standard deviation of {BETWEEN_PLACES:g} in its log-odds is "
    "assumed."
)
DEATHS_RATE = (
    "All drug-poisoning deaths registered in the four years 2003 to 2006, whatever the substance. "
    "The rate is that of crack-2005 in deaths per opiate user in four years "
    f"({_ends('poisonings_per_opiate_user_4y')}; its sources stand there) times the share of users "
    f"who take opiates, {share_of_users('eng_opi_0405').centre:.2f} in England."
)
POLICE_ERROR = (
    "The error is that of crack-2005 for all police figures, reported over true, and is assumed."
)
BORROWED = (
    "BORROWED: no local count was found. England's "
    f"{_number(EVIDENCE['ndtms_opiate_0405']):,.0f} opiate clients in contact with treatment in "
    "2004/05 times the place's share of England's residents aged 15 to 64. The error lets "
    "treatment per resident differ between places by a standard deviation of "
    f"{BETWEEN_PLACES:g} on the log scale: assumed. The share is England's in treatment among "
    f"opiate users ({_ends('treated_opiate')}) times the share of users who take opiates. "
    f"{ENGLAND_SHARE}"
)


def _treatment(area: str) -> Row:
    factor = math.exp(Z * math.hypot(BETWEEN_PLACES, _clients_sd()))
    return _row(
        "treatment-england", "people", count=f"{borrowed_treatment(area):.0f}",
        quantiles=_cell(derived()["treated opiate users per user"]),
        error=f"{_figures(1 / factor, 2)} to {_figures(factor, 2)} at {LEVEL}",
        source=EVIDENCE["ndtms_opiate_0405"]["citation"],
        note=BORROWED,
    )  # fmt: skip


def _clients_sd() -> float:
    row = EVIDENCE["ndtms_opiate_0405"]
    return math.log(_number(row, "high") / _number(row, "low")) / (2 * Z)


def tables() -> dict[str, list[Row]]:
    """Rows of every table, by its place among the studies."""
    found = derived()
    derby = [
        _row(
            "police", "figure", count=EVIDENCE["derby_crack"]["value"],
            interval=_range(EVIDENCE["derby_crack"]), quantiles=_cell(found["crack share"]),
            error=_range(BIASES["police"]), source=EVIDENCE["derby_crack"]["citation"],
            note="Crack users in the city, a round number from a police project; its own interval, "
            "as in crack-2005, is assumed. The quantiles are the share of users of opiates or "
            f"crack who take crack. {ENGLAND_SHARE} {POLICE_ERROR}",
        ),
        _row(
            "deaths", "events", count=EVIDENCE["deaths_derby"]["value"],
            quantiles=_cell(found["deaths per user"]),
            source=EVIDENCE["deaths_derby"]["citation"],
            note=f"{DEATHS_RATE} {ENGLAND_SHARE}",
        ),
    ]  # fmt: skip
    ilkeston = [
        _row(
            "police", "figure", interval=_range(EVIDENCE["ilk_pdu"]),
            error=_range(BIASES["police"]), source=EVIDENCE["ilk_pdu"]["citation"],
            note="Heroin and crack users in total. No level was given: as in crack-2005 the range "
            "is taken to hold the truth one time in four, which is an own error of about a fifth. "
            f"{POLICE_ERROR}",
        ),
        _row(
            "deaths", "events", count=EVIDENCE["deaths_erewash"]["value"],
            quantiles=_cell(found["Erewash's deaths per user in Ilkeston"]),
            source=EVIDENCE["deaths_erewash"]["citation"],
            note=f"Deaths in the whole borough of Erewash. {DEATHS_RATE} Divided by the share of "
            "the borough's users who live in Ilkeston: the town's share of residents aged 15 to "
            f"64, {share_of_borough().centre:.2f}, if its rate is that of the rest; that it is up "
            f"to {TOWN_OVER_REST:g} times lower or higher, at 95 %, is assumed. {ENGLAND_SHARE}",
        ),
    ]  # fmt: skip
    spending = _row(
        "spending", "amount", count=EVIDENCE["derby_spend"]["value"],
        quantiles=_cell(found["pounds per user"]), error=_range(BIASES["spending_bound"]),
        source=EVIDENCE["derby_spend"]["citation"],
        note="An UPPER BOUND on the pounds spent on crack in a year (\"up to\"), read as if it "
        "were the amount: what comes out is a size that is not exceeded. The rate is that of "
        "crack-2005 "
        f"in pounds per crack user and year ({_ends('spend_crack_per_year')}, assumed) times the "
        f"share of users who take crack. {ENGLAND_SHARE}",
    )  # fmt: skip
    return {
        "derby-multipliers/benchmarks.csv": derby,
        "derby-multipliers/further.csv": [_treatment("Derby"), spending],
        "ilkeston-multipliers/benchmarks.csv": ilkeston,
        "ilkeston-multipliers/further.csv": [_treatment("Ilkeston")],
        "bangkok-2004/benchmarks.csv": _rows("datasets", "bangkok-2004", "benchmarks.csv"),
    }


def _text(rows: list[Row]) -> str:
    """A table as CSV, without columns that are empty throughout."""
    names = list(dict.fromkeys(name for row in rows for name in (*COLUMNS, *row)))
    known = [*COLUMNS, *(name for name in rows[0] if name not in COLUMNS)]
    order = list(rows[0]) if set(rows[0]) - set(COLUMNS) else known
    used = [name for name in order if name in names and any(row.get(name) for row in rows)]
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, used, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def differences() -> list[str]:
    """Sentences about tables that are not what they should be; none is good."""
    found = []
    for name, rows in tables().items():
        path = SHIPPED / "studies" / name
        if not path.exists() or path.read_text(encoding="utf-8") != _text(rows):
            found.append(f"{name} differs from this script")
    return found


if __name__ == "__main__":
    for name, quantiles in derived().items():
        print(f"{name}: {_cell(quantiles)}")
    if "--check" not in sys.argv[1:]:
        for name, rows in tables().items():
            target = SHIPPED / "studies" / name
            target.parent.mkdir(exist_ok=True)
            target.write_text(_text(rows), encoding="utf-8")
    if faults := differences():
        raise SystemExit("\n".join(faults))
