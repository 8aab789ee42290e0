"""Trees: reading them, the root, the sizes of the nodes, the weighted multiplier method."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import beta, betanbinom

from hiddenpop.errors import InputError
from hiddenpop.families import tree as family
from hiddenpop.families.exact import Discrete
from hiddenpop.families.maths.tree_groups import draw_shares, shares_of
from hiddenpop.families.maths.tree_region import region_of
from hiddenpop.families.maths.tree_size import root_size
from hiddenpop.families.maths.tree_sizes import node_sizes
from hiddenpop.families.maths.tree_weights import least_variance, weighted_multiplier
from hiddenpop.families.size_prior import SizePrior
from hiddenpop.inference import judge
from hiddenpop.inputs.faults import messages
from hiddenpop.inputs.settings import Sampling
from hiddenpop.inputs.tree import Branch, Tree
from hiddenpop.inputs.tree_csv import read_tree, tree_csv

__all__: list[str] = []

CASES = {
    "tree-name-empty": "Z,A,3,9,,,4,\n,B,2,9,,,,",
    "tree-total": "Z,A,3,9,,,4,\nZ,Total,9,9,,,40,",
    "tree-child-twice": "Z,A,3,9,,,4,\nZ,A,2,9,,,,",
    "tree-cycle": "Z,A,3,9,,,4,\nB,C,,,,,,\nC,B,,,,,,",
    "tree-roots": "Z,A,3,9,,,4,\nY,B,2,9,,,,",
    "tree-survey-part": "Z,A,3,,,,4,",
    "tree-n-zero": "Z,A,0,0,,,4,",
    "tree-x-above-n": "Z,A,10,9,,,4,",
    "tree-survey-none": "Z,A,3,9,,,4,\nZ,B,,,,s,,",
    "tree-design-low": "Z,A,3,9,0.5,,4,",
    "tree-count-negative": "Z,A,3,9,,,-4,",
    "tree-count-fraction": "Z,A,3,9,,,4.5,",
    "tree-count-above": "Z,A,3,9,,,4,\nA,B,3,9,,,5,",
    "tree-counts-above": "Z,A,3,9,,,4,\nA,B,3,9,,,3,\nA,C,3,9,,,3,",
    "tree-sample-n": "Z,A,3,9,,s,4,\nZ,B,3,8,,s,,",
    "tree-sample-design": "Z,A,3,9,2,s,4,\nZ,B,3,9,,s,,",
    "tree-sample-sum": "Z,A,6,9,,s,4,\nZ,B,4,9,,s,,",
    "tree-complete-word": "Z,A,3,9,,,4,maybe",
    "tree-complete-split": "Z,A,3,9,,,4,yes\nZ,B,3,9,,,,no",
    "tree-complete-alone": "Z,A,3,9,,,4,yes",
    "tree-complete-sample": "Z,A,3,9,,s,4,yes\nZ,B,3,9,,s,,",
    "tree-complete-counts": "Z,A,3,9,,,9,\nA,B,4,9,,s,4,\nA,C,5,9,,s,4,",
    "tree-no-count": "Z,A,3,9,,,,",
    "tree-no-survey": "Z,A,,,,,4,",
    "population-less": "Z,A,3,9,,,400,",
}
HEADER = "parent,child,x,n,design_effect,sample,count,complete\n"

TWO = Tree((Branch("Z", "A", 30, 100, count=200), Branch("Z", "B", 25, 50, count=260)), "Z")
"""Siblings from different samples."""

DEEP = Tree(
    (
        Branch("Z", "A", 40, 100, sample="s"), Branch("Z", "B", 25, 100, sample="s", count=260),
        Branch("Z", "other"), Branch("A", "C", 30, 60, 2.0, count=300), Branch("A", "D", 10, 40),
        Branch("C", "E", 8, 20, count=90), Branch("C", "F", 5, 25), Branch("D", "G", 5, 10),
    ),
    "Z",
)  # fmt: skip
"""Counts at two depths and inside each other, uncounted parts, a design effect."""

REFUSED = {
    "tree-nobody": Tree((Branch("Z", "A", 3, 9, count=0),), "Z"),
    "tree-all-counted": Tree(
        (Branch("Z", "A", 3, 9, sample="s", count=4), Branch("Z", "B", 6, 9, sample="s", count=4)),
        "Z",
    ),
    "tree-path": Tree((Branch("Z", "A", 3, 9), Branch("Z", "C", count=4), Branch("A", "B")), "Z"),
    "tree-prior": TWO,
}


def fit(tree: Tree, prior: SizePrior | None = None, seed: int = 1) -> Discrete:
    """The posterior of N."""
    found = family.posterior(tree, family.Priors(prior or SizePrior()), Sampling(seed=seed))
    group = found["distribution"]
    return Discrete(
        group["unseen"].to_numpy() + found.attrs["observed"], group["probability"].to_numpy()
    )


def root(tree: Tree, seed: int = 1) -> Discrete:
    """As `fit`, without the rest of the report."""
    region = region_of(tree, tree.root)
    assert region is not None
    found = root_size(region, SizePrior(), np.random.default_rng(seed))
    return Discrete(found.unseen + tree.observed, found.probability)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Tree]:
    def from_text(text: str, header: str = HEADER, **options: float) -> Tree:
        path = tmp_path / "tree.csv"
        path.write_text(header + text, encoding="utf-8")
        return read_tree(path, **options)

    return from_text


# Reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CASES)
def test_each_kind_of_bad_tree_has_one_message(read: Callable[..., Tree], code: str) -> None:
    with pytest.raises(InputError) as raised:
        read(CASES[code], population=100)
    assert [fault.code for fault in raised.value.faults] == [code]
    fault = raised.value.faults[0]
    assert fault.file == "tree.csv"
    assert re.fullmatch(r"[^\n]+\. [^\n]+\. [^\n]+ \[[a-z0-9-]+\]", str(fault))


def test_every_code_has_a_case_here() -> None:
    page = files("hiddenpop.inputs").joinpath("messages").joinpath("tree.toml")
    assert set(tomllib.loads(page.read_text(encoding="utf-8"))) == (
        set(CASES) | set(REFUSED) - {"population-less"}
    ) - {"population-less"}


@pytest.mark.parametrize(
    ("cell", "code"), [("1,200", "csv"), ("<5", "number-suppressed"), ("30%", "number-percent")]
)
def test_cells_that_are_no_numbers_are_faults(
    read: Callable[..., Tree], cell: str, code: str
) -> None:
    with pytest.raises(InputError) as raised:
        read(f"Z,A,3,9,,,{cell},")
    assert code in raised.value.faults[0].code or raised.value.faults[0].code == "row-length"


@pytest.mark.parametrize("tree", [TWO, DEEP])
def test_a_tree_reads_back_as_it_was_written(read: Callable[..., Tree], tree: Tree) -> None:
    text = tree_csv(tree)
    found = read(text.split("\n", 1)[1], population=5000)
    assert (found.branches, found.root) == (tree.branches, tree.root)
    assert found.residents == 5000
    assert tree_csv(found) == text


def test_columns_that_may_be_missing_may_be_missing(read: Callable[..., Tree]) -> None:
    found = read("Z,A,3,9,12\n", header="parent,child,x,n,count\n")
    assert found.branches == (Branch("Z", "A", 3, 9, count=12),)


def test_children_cover_their_parent_where_one_sample_left_nobody_over() -> None:
    one = Branch("Z", "A", 4, 9, sample="s"), Branch("Z", "B", 5, 9, sample="s")
    assert Tree(one, "Z").covers("Z")
    assert not Tree((one[0],), "Z").covers("Z")
    assert not Tree((one[0], replace(one[1], x=4.0)), "Z").covers("Z")
    assert not Tree((replace(one[0], sample=""), replace(one[1], sample="")), "Z").covers("Z")
    assert not Tree((replace(one[0], complete=False), one[1]), "Z").covers("Z")
    assert Tree((replace(one[0], sample="", complete=True), one[1]), "Z").covers("Z")


# The root ---------------------------------------------------------------------------------------


def test_one_branch_is_a_beta_negative_binomial() -> None:
    tree = Tree((Branch("Z", "A", 144, 603, 4.0, count=1981),), "Z")
    found = fit(tree)
    exact = betanbinom(1981, 144 / 4 + 1, (603 - 144) / 4 + 1)
    cumulative = np.cumsum(found.probability)
    rows = np.searchsorted(cumulative, [0.01, 0.025, 0.25, 0.5, 0.75, 0.975, 0.99])
    # Between the bins of the tails every number is listed.
    np.testing.assert_allclose(
        cumulative[rows], exact.cdf(found.unseen[rows] - 1981), rtol=0, atol=1e-6
    )


def test_counts_in_one_sample_act_as_one_count() -> None:
    """With one sample the counts say nothing of Q; their sum scales it up."""
    apart = Tree(
        (Branch("Z", "A", 30, 100, sample="s", count=200),
         Branch("Z", "B", 25, 100, sample="s", count=260)), "Z",
    )  # fmt: skip
    found = root(apart)
    exact = betanbinom(460, 31 + 26, 46)
    ends = found.quantile(np.array([0.025, 0.5, 0.975]))
    np.testing.assert_allclose(ends - 460, exact.ppf([0.025, 0.5, 0.975]), atol=1)


def test_a_level_between_changes_nothing() -> None:
    """B and C are all of A, so that their counts are A's; computed by importance sampling."""
    deep = Tree(
        (Branch("Z", "A", 30, 100), Branch("A", "B", 5, 20, sample="s", count=150),
         Branch("A", "C", 15, 20, sample="s", count=350)), "Z",
    )  # fmt: skip
    region = region_of(deep, "Z")
    assert region is not None
    assert region.beta is None
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    exact = betanbinom(500, 31, 71).ppf(levels) + 500
    np.testing.assert_allclose(root(deep).quantile(levels), exact, rtol=0.01)


def test_siblings_from_different_samples_meet_brute_force() -> None:
    edge = (np.arange(200) + 0.5) / 200
    p, q = np.meshgrid(edge, edge, indexing="ij")
    inside = p + q < 1
    p, q = p[inside], q[inside]
    log_weight = beta.logpdf(p, 31, 71) + beta.logpdf(q, 26, 26)
    log_weight += 200 * np.log(p) + 260 * np.log(q)
    people = np.arange(460, 1500)
    kept = log_weight + 460 * np.log1p(-p - q) > -np.inf
    order = [
        gammaln(n + 1) - gammaln(n - 459) - np.log(n)
        + logsumexp(log_weight[kept] + (n - 460) * np.log1p(-p[kept] - q[kept]))
        for n in people
    ]  # fmt: skip
    exact = Discrete.from_log(people, np.array(order))
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    np.testing.assert_allclose(root(TWO).quantile(levels), exact.quantile(levels), rtol=0.01)


def test_another_prior_on_the_size_meets_brute_force() -> None:
    """The example of JAGStree, summed over all sizes of its nodes."""
    tree = Tree(
        (Branch("Z", "A", 3, 7, sample="s"), Branch("Z", "B", 4, 7, sample="s", count=500),
         Branch("Z", "C", 0, 7, sample="s"), Branch("A", "D", 9, 9, count=50)), "Z",
    )  # fmt: skip
    prior = SizePrior("lognormal", 1000, 1000 * np.exp(0.1 * 1.2815515655446004))
    people = np.arange(560, 1700)
    log_mass = []
    for n in people:
        a = np.arange(50, n - 500 + 1)
        c = n - 500 - a
        split = gammaln(n + 1) - gammaln(a + 1) - gammaln(c + 1)
        split += gammaln(4 + a) + gammaln(1 + c) - gammaln(10 + n)
        ends = gammaln(a + 1) - gammaln(a - 49) + gammaln(1 + a - 50) - gammaln(11 + a)
        log_mass.append(logsumexp(split + ends))
    exact = Discrete.from_log(people, np.array(log_mass) + prior.log_density(people))
    found = fit(tree, prior)
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    np.testing.assert_allclose(found.quantile(levels), exact.quantile(levels), atol=6)
    assert found.mean == pytest.approx(exact.mean, abs=3)


def test_counts_inside_a_counted_node_say_nothing_of_the_root() -> None:
    inner = DEEP.with_counts(frozenset({"B", "C"}))
    levels = np.array([0.025, 0.5, 0.975])
    np.testing.assert_array_equal(root(DEEP).quantile(levels), root(inner).quantile(levels))


def test_a_child_without_a_sample_changes_nothing_for_the_others() -> None:
    more = Tree((*TWO.branches, Branch("Z", "C"), Branch("Z", "D")), "Z")
    levels = np.array([0.025, 0.5, 0.975])
    np.testing.assert_allclose(root(more).quantile(levels), root(TWO).quantile(levels), rtol=0.01)


def test_where_siblings_cover_their_parent_each_sample_speaks_of_both() -> None:
    pair = Tree(
        (Branch("Z", "A", 4, 11, complete=True), Branch("Z", "B", 34, 70, count=500)), "Z"
    )  # fmt: skip
    exact = betanbinom(500, 34 + 7 + 1, 36 + 4 + 1)
    assert root(pair).quantile(0.5) == pytest.approx(500 + exact.ppf(0.5), abs=1)


def test_the_order_of_rows_changes_nothing() -> None:
    turned = replace(DEEP, branches=DEEP.branches[::-1])
    one, two = (family.posterior(t, family.Priors(), Sampling()) for t in (DEEP, turned))
    np.testing.assert_array_equal(one["posterior"]["N"], two["posterior"]["N"])
    for group, dim in (("nodes", "node"), ("benchmarks", "benchmark")):
        first, second = (x[group].to_dataset().sortby(dim) for x in (one, two))
        assert first.equals(second)


def test_the_answer_keeps_the_contract() -> None:
    found = family.posterior(DEEP, family.Priors(), Sampling())
    assert judge(found).passed
    assert found.attrs["observed"] == 560
    assert float(found["posterior"]["N"].min()) >= 560
    assert set(found["benchmarks"]["benchmark"].to_numpy()) == {"B", "C", "E"}
    assert "1/N" in found.attrs["notes"]
    assert "design effect" in found.attrs["notes"]
    assert "test" in found.attrs["assumption"]
    weights = found["benchmarks"]["weight"].to_numpy()
    assert weights.sum() == pytest.approx(1)


def test_a_count_against_the_others_is_named() -> None:
    wrong = Tree(
        (Branch("Z", "A", 300, 1000, count=200), Branch("Z", "B", 250, 1000, count=900)), "Z"
    )
    for prior in (SizePrior(), SizePrior("lognormal", 2000, 2100)):
        found = family.posterior(wrong, family.Priors(prior), Sampling())
        rows = found["benchmarks"].to_dataset()
        assert (rows["conflict"] < 1e-4).all()
        assert "'A'" in found.attrs["notes"]
    plain = family.posterior(wrong, family.Priors(), Sampling())["benchmarks"].to_dataset()
    assert float(plain["alone"].sel(benchmark="A")) == pytest.approx(667, rel=0.02)
    assert float(plain["without"].sel(benchmark="A")) == pytest.approx(3600, rel=0.02)


@pytest.mark.parametrize("code", REFUSED)
def test_each_refusal_has_its_own_words(code: str) -> None:
    prior = SizePrior("uniform", 300) if code == "tree-prior" else SizePrior()
    refusal = family.refusal(REFUSED[code], family.Priors(prior))
    assert refusal is not None
    assert refusal.code == code
    for words in messages()[code]:
        assert words.format(family="tree", **refusal.values)
    assert family.refusal(DEEP, family.Priors()) is None


# The nodes --------------------------------------------------------------------------------------


def test_sizes_of_nodes_add_up_and_hold_the_counts() -> None:
    region = region_of(DEEP, "Z")
    assert region is not None
    rng = np.random.default_rng(2)
    sizes = node_sizes(DEEP, root_size(region, SizePrior(), rng), 4000, SizePrior(), rng)
    assert set(sizes) == set(DEEP.nodes)
    for parent in ("Z", "A", "C", "D"):
        inside = sum(sizes[branch.child] for branch in DEEP.children(parent))
        assert (inside <= sizes[parent]).all()
    for branch in DEEP.branches:
        if branch.count is not None:
            assert (sizes[branch.child] == branch.count).all()
        else:
            assert (sizes[branch.child] >= DEEP.counted_below(branch.child)).all()
    quantiles = [0.025, 0.5, 0.975]
    np.testing.assert_allclose(
        np.quantile(sizes["Z"], quantiles), root(DEEP).quantile(np.array(quantiles)), rtol=0.03
    )


def test_sizes_below_a_count_follow_from_its_sample() -> None:
    """F is binomial out of the 300 - 90 of C that are not in E, given that E has 90."""
    region = region_of(DEEP, "Z")
    assert region is not None
    rng = np.random.default_rng(3)
    sizes = node_sizes(DEEP, root_size(region, SizePrior(), rng), 4000, SizePrior(), rng)
    edge = (np.arange(300) + 0.5) / 300
    e, f = np.meshgrid(edge, edge, indexing="ij")
    e, f = e[e + f < 1], f[e + f < 1]
    logs = beta.logpdf(e, 9, 13) + beta.logpdf(f, 6, 21) + 90 * np.log(e) + 210 * np.log1p(-e)
    weight = np.exp(logs - logsumexp(logs))
    exact = 210 * (weight @ (f / (1 - e)))
    assert sizes["F"].mean() == pytest.approx(exact, rel=0.03)


def test_shares_of_one_sample_are_dirichlet() -> None:
    branches = (Branch("Z", "A", 8, 20, 2.0, "s"), Branch("Z", "B", 6, 20, 2.0, "s"))
    drawn = draw_shares(shares_of(branches, covers=False), 200_000, np.random.default_rng(1))
    alpha = np.array([5.0, 4.0, 4.0])
    np.testing.assert_allclose(drawn.mean(axis=0), alpha / 13, atol=0.002)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)


# The weighted multiplier method -----------------------------------------------------------------


def test_weights_make_the_variance_least() -> None:
    rng = np.random.default_rng(1)
    logs = rng.multivariate_normal([0, 0], [[0.04, 0.01], [0.01, 0.09]], 50_000)
    # (s22 - s12) / (s11 + s22 - 2 s12)
    np.testing.assert_allclose(least_variance(logs), [0.08 / 0.11, 0.03 / 0.11], atol=0.01)


def test_one_count_is_the_plain_multiplier() -> None:
    tree = Tree((Branch("Z", "A", 330, 600, count=1981),), "Z")
    found = weighted_multiplier(tree, np.random.default_rng(1))
    shares = beta(331, 271)
    assert found.root == pytest.approx(1981 / np.exp(np.log(shares.rvs(200_000)).mean()), rel=0.01)
    np.testing.assert_allclose(
        found.interval(), 1981 / shares.ppf([0.975, 0.025]), rtol=0.005
    )  # fmt: skip


# Simulation -------------------------------------------------------------------------------------


def test_simulated_trees_keep_the_branches(rng: np.random.Generator) -> None:
    truth = family.draw_truth(DEEP, family.Priors(), rng)
    made = family.simulate(truth, rng)
    assert [b.child for b in made.branches] == [b.child for b in DEEP.branches]
    assert [b.count is None for b in made.branches] == [b.count is None for b in DEEP.branches]
    assert [b.x is None for b in made.branches] == [b.x is None for b in DEEP.branches]
    assert made.observed <= truth.N


def test_the_model_finds_what_was_simulated() -> None:
    """Large samples and counts: the interval is narrow and holds the truth."""
    rng = np.random.default_rng(5)
    big = Tree(tuple(replace(b, n=b.n and 40_000.0) for b in DEEP.branches), "Z")
    shares = {"Z": [0.4, 0.25, 0.1], "A": [0.5, 0.3], "C": [0.4, 0.3], "D": [0.5]}
    truth = family.draw_truth(big, family.Priors(), rng)
    truth = replace(truth, N=200_000, shares={k: np.array(v) for k, v in shares.items()})
    low, high = root(family.simulate(truth, rng)).quantile(np.array([0.001, 0.999]))
    assert low < 200_000 < high
    assert high / low < 1.1
