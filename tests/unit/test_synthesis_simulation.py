"""Priors of the evidence synthesis are the stated ones; its simulator draws what the model says."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import stats

from hiddenpop.families.simulation.synthesis import draw_truth, simulate
from hiddenpop.families.synthesis import Priors, build_model, values
from hiddenpop.inference import Sampler
from hiddenpop.inputs.synthesis import SynthesisData

__all__: list[str] = []

# --- priors ------------------------------------------------------------------------------------

DRAWS = 20_000
SHARES = {"known": (0.3, 0.7, 0.95), "young": (0.7, 0.98, 0.95)}
FOUND, SELECTION = (0.1, 0.4, 0.95), (0.8, 2.5, 0.95)
FACTOR, BIAS = (0.005, 0.02, 0.9), (0.6, 1.2, 0.9)


@pytest.fixture(scope="module")
def prior(example: SynthesisData) -> xr.Dataset:
    rows = example.evidence.rows.assign(source="exact")
    rows.loc["spoken", "source"] = "off"
    changed = replace(example, evidence=replace(example.evidence, rows=rows))
    return Sampler(build_model(changed)).prior(values(changed), DRAWS, 1).isel(chain=0)


def assert_interval(draws: npt.ArrayLike, low: float, high: float, level: float) -> None:
    """As many draws beyond each end as the level says, within 4 Monte Carlo errors."""
    tail = (1 - level) / 2
    margin = 4 * np.sqrt(tail * (1 - tail) / DRAWS)
    assert np.mean(np.asarray(draws) < low) == pytest.approx(tail, abs=margin)
    assert np.mean(np.asarray(draws) > high) == pytest.approx(tail, abs=margin)


def test_prior_of_prevalence_is_the_stated_one(prior: xr.Dataset) -> None:
    assert_interval(prior["prevalence"].sel(area="Land", union="any"), *Priors().prevalence)


def test_priors_of_rates_and_biases_are_the_stated_ones(prior: xr.Dataset) -> None:
    for name, interval in SHARES.items():
        assert_interval(prior["share"].sel(proportion=name), *interval)
    assert_interval(prior["factor"].sel(multiplier="fatal"), *FACTOR)
    found, share = (prior[name].sel(proportion="met") for name in ("share_found", "share"))
    assert_interval(found, *FOUND)
    assert_interval(found / (1 - found) / share * (1 - share), *SELECTION)
    assert_interval(prior["bias"].sel(source="off"), *BIAS)
    assert (prior["bias"].sel(source="exact") == 1).all()


def test_reported_priors_of_rates_are_those_of_the_model(
    example: SynthesisData, prior: xr.Dataset
) -> None:
    for name in example.rates.names:
        kind, dim = ("factor", "multiplier") if name == "fatal" else ("share", "proportion")
        draws = prior[kind].sel({dim: name}).to_numpy()
        low, high = example.rates.prior_quantiles(name, [0.05, 0.95])
        assert_interval(draws, low, high, 0.9)
        error = 4 * draws.std() / np.sqrt(DRAWS)
        assert draws.mean() == pytest.approx(example.rates.prior_mean(name), abs=error)


def test_priors_of_effects_are_the_stated_ones(prior: xr.Dataset) -> None:
    margin = 4 * np.sqrt(0.3173 * 0.6827 / DRAWS)
    for name in ("between_areas", "between_compositions"):
        below = np.mean(prior["scale"].sel(effect=name) < getattr(Priors(), name))
        assert below == pytest.approx(0.6827, abs=margin)
    phi = np.log(prior["overdispersion"] / Priors().overdispersion)
    assert float(phi.mean()) == pytest.approx(0, abs=4 * 0.75 / np.sqrt(DRAWS))
    assert float(phi.std()) == pytest.approx(0.75, rel=4 / np.sqrt(2 * DRAWS))


def test_prior_of_residents_is_the_stated_one(prior: xr.Dataset) -> None:
    assert_interval(prior["residents"].sel(area="South"), *stated_around(200_000, 190_000, 215_000))
    assert (prior["residents"].sel(area="Town") == 100_000).all()


def stated_around(middle: float, low: float, high: float) -> tuple[float, float, float]:
    """An interval's width on the log scale, put around its value."""
    half = np.sqrt(high / low)
    return middle / half, middle * half, 0.95


def test_prior_of_drift_is_the_stated_one(prior: xr.Dataset) -> None:
    target = prior["users"].sel(area="Town", union="both")
    drift = np.log(prior["without_bias"].sel(evidence="spoken") / target)
    margin = 4 / np.sqrt(2 * DRAWS)
    assert drift.std() == pytest.approx(0.05 * 4, rel=margin)


def test_prior_of_composition_favours_no_group(prior: xr.Dataset) -> None:
    top = np.log(prior["N"].sel(area="Land"))
    for one, other in (("opiate_only", "both"), ("both", "crack_only")):
        ratio = top.sel(group=one) - top.sel(group=other)
        # Each group's log share departs from their common mean with sd 1.5: ratios sqrt(2) times.
        assert ratio.std() == pytest.approx(1.5 * np.sqrt(2), rel=4 / np.sqrt(2 * DRAWS))
        assert ratio.mean() == pytest.approx(0, abs=4 * 1.5 * np.sqrt(2 / DRAWS))


# --- the simulator -----------------------------------------------------------------------------


def test_simulator_and_model_draw_the_same_priors(
    example: SynthesisData, prior: xr.Dataset, rng: np.random.Generator
) -> None:
    truths = [draw_truth(example, Priors(), rng) for _ in range(1500)]
    for area, group in (("Land", "any"), ("Town", "crack"), ("rest of North", "opiate")):
        ours = np.array([truth.size(area, group) for truth in truths])
        theirs = prior["users"].sel(area=area, union=group).to_numpy()
        assert stats.ks_2samp(ours, theirs).pvalue > 1e-4
    for at, name in enumerate(example.rates.shares):
        ours = np.array([truth.rates[at] for truth in truths])
        assert stats.ks_2samp(ours, prior["share"].sel(proportion=name)).pvalue > 1e-4


SIMULATED = 600


def test_simulated_rows_have_their_stated_spread(
    example: SynthesisData, rng: np.random.Generator
) -> None:
    truth = replace(draw_truth(example, Priors(), rng), overdispersion=0.3)
    expected = dict(zip(example.evidence.ids, truth.expected(), strict=True))
    drawn = [simulate(truth, rng).evidence.rows for _ in range(SIMULATED)]

    def column(row: str, name: str = "value") -> np.ndarray:
        return np.array([rows.loc[row, name] for rows in drawn])

    range_sd = np.log(400 / 300) / 2 / stats.norm.ppf(0.9)
    middle = np.log(column("spoken", "low") * column("spoken", "high")) / 2
    assert middle.std() == pytest.approx(range_sd, rel=0.12)
    assert middle.mean() == pytest.approx(
        np.log(expected["spoken"]), abs=4 * range_sd / np.sqrt(SIMULATED)
    )
    for name, design in (("treated", 1.0), ("deaths", 2.0)):
        sd = np.sqrt(design * expected[name] + (0.3 * expected[name]) ** 2)
        assert column(name).mean() == pytest.approx(expected[name], abs=4 * sd / np.sqrt(SIMULATED))
        assert column(name).std() == pytest.approx(sd, rel=0.2)
    chance = expected["few"] / truth.size("Town", "crack")
    members = round(truth.size("Town", "crack"))
    low, high = column("few", "low"), column("few", "high")
    assert np.all((low >= 0) & (low <= high) & (high - low <= 6) & ((low - 3) % 7 % 4 == 0))
    inside = stats.binom.cdf(9, members, chance) - stats.binom.cdf(2, members, chance)
    assert np.mean(low == 3) == pytest.approx(inside, abs=4 * np.sqrt(0.25 / SIMULATED))
    rates = dict(zip(example.rates.names, truth.rates, strict=True))
    bias = truth.bias[example.biases.names.index("off")]
    chance = rates["known"] * rates["met"]
    sd = np.sqrt(expected["listed"] * bias * (1 - chance))
    assert column("listed").mean() == pytest.approx(
        expected["listed"], abs=4 * sd / np.sqrt(SIMULATED) + 0.5
    )
    assert column("listed").std() == pytest.approx(sd, rel=0.12)
    p = expected["survey"]
    sd = np.sqrt(6000 * p * (1 - p) * 1.5)
    assert column("survey").mean() == pytest.approx(6000 * p, abs=4 * sd / np.sqrt(SIMULATED))
    assert column("survey").std() == pytest.approx(sd, rel=0.12)
    low, high = column("rounded", "low"), column("rounded", "high")
    assert np.all((low >= 0) & (high <= 20) & (low <= high))
    held = np.mean(column("least") < expected["least"] * np.exp(2 * Priors().bound_softness))
    assert held > 0.95
