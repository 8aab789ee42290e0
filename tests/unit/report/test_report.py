"""The report: whole, self-contained, and every number in it the one of the tables."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hiddenpop as hp
from hiddenpop.checks.conflict.table import row_conflict
from hiddenpop.checks.conflict.words import p_words
from hiddenpop.report import build_report, check_sentences
from hiddenpop.report.conflicts import conflicts
from hiddenpop.report.sentences import render_sentences
from hiddenpop.words import people, plain

COMMAND = "hiddenpop run tiny"
SECTIONS = {"answer", "comparisons", "learned", "evidence", "conflicts", "variants", "basis",
            "inputs", "sources", "model", "diagnostics", "provenance"}  # fmt: skip
FIGURES = {"prevalence", "prior-posterior", "evidence", "biases", "variants", "ranks", "energy"}
VOID = {"meta", "link", "img", "source", "br"}


class Page(HTMLParser):
    """Tags of a page with their attributes and parents; complains about unclosed ones."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs, _ in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(estimate: hp.Estimate, variants: pd.DataFrame) -> str:
    return build_report(estimate, variants, command=COMMAND)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def plain_text(text: str) -> str:
    """What a reader sees, in one line."""
    seen = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", seen.replace("\u00a0", " "))


def with_sentence(estimate: hp.Estimate, sentence: str) -> hp.Estimate:
    report = replace(estimate.data.report, limits=("All is well.", sentence))
    return replace(estimate, data=replace(estimate.data, report=report))


def test_every_section_is_there(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs, _ in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(ids) >= SECTIONS | {f"figure-{name}" for name in FIGURES}
    links = {attrs["href"] for attrs in page.all("a")}
    assert links <= {f"#{name}" for name in ids}


def test_nothing_is_loaded_from_anywhere(text: str, page: Page) -> None:
    for _, attrs, _ in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#"))
    assert not {"script", "iframe", "object", "embed"} & {tag for tag, _, _ in page.tags}
    assert not re.search(r"url\(|@import", text)


def test_it_is_small_enough_to_send(text: str) -> None:
    assert len(text.encode()) < 8e6


def test_every_figure_has_a_text_and_a_caption(page: Page) -> None:
    images = page.all("img")
    assert len(images) == len(FIGURES)
    assert len({image["alt"] for image in images}) == len(FIGURES)
    assert all(len(image["alt"] or "") > 60 for image in images)
    assert len(page.all("figcaption")) == len(page.all("figure")) == len(FIGURES)


def test_tables_scroll_by_themselves(page: Page) -> None:
    for tag, _, parents in page.tags:
        if tag == "table":
            assert parents[-1] == "div"


def test_the_same_estimate_gives_the_same_page(
    estimate: hp.Estimate, variants: pd.DataFrame, text: str
) -> None:
    assert build_report(estimate, variants, command=COMMAND) == text


def test_headline_and_table_say_the_same(estimate: hp.Estimate, text: str) -> None:
    seen, table = plain_text(text), estimate.table().set_index(["area", "group", "quantity"])
    for area in estimate.data.report.areas:
        users = table.loc[(area, "any", "N")]
        rate = table.loc[(area, "any", "prevalence_per_1000")]
        number, rounded = people(users["median"]), plain(rate["median"])
        ends = f"{people(users['low'])} to {people(users['high'])}"
        rates = f"{plain(rate['low'])} to {plain(rate['high'])}"
        assert (
            f"{area} : about {number} people (95 % interval {ends}), that is {rounded} per 1,000 "
            f"({rates})" in seen
        )
        assert f"{number} {ends} {rounded} {rates}" in seen


def test_comparisons_are_computed(estimate: hp.Estimate, text: str) -> None:
    found = estimate.compare("Northtown", "Southtown", "any")
    assert f"has the higher rate is {100 * found.probability:.0f} %" in plain_text(text)


def test_every_row_of_every_table_is_shown(estimate: hp.Estimate, text: str) -> None:
    seen, data = plain_text(text), estimate.data.data
    for name in data.evidence.table["id"]:
        assert f" {name} " in seen
    for area in data.areas.names:
        assert area in seen
    assert seen.count("derived: its parent less the areas named in it") == sum(data.areas.derived)
    assert "the list is lost" in seen


def test_every_prior_is_shown_with_its_origin(text: str) -> None:
    seen = plain_text(text)
    assert seen.count("default of the family") == 6  # one of the two given is the default
    assert seen.count("set by the study") == 1
    assert "normal, sd 0.05" in seen


def test_provenance(estimate: hp.Estimate, text: str) -> None:
    seen = plain_text(text)
    assert COMMAND in seen
    assert all(digest in seen for digest in estimate.data.sha256.values())


def test_sentences_are_filled_in(text: str) -> None:
    assert "Treatment counts of 180 people." in plain_text(text)


def test_a_good_estimate_has_no_banner(text: str) -> None:
    assert 'class="banner"' not in text


def test_a_failed_fit_is_marked(estimate: hp.Estimate) -> None:
    stats = estimate.tree["sample_stats"].to_dataset().copy(deep=True)
    stats["diverging"][0, :7] = True
    tree = xr.DataTree.from_dict(
        {"posterior": estimate.tree["posterior"].to_dataset(), "sample_stats": stats}
    )
    tree.attrs = estimate.tree.attrs
    seen = plain_text(build_report(replace(estimate, tree=tree), None, command=COMMAND))
    assert "This fit failed its checks. Its numbers cannot be trusted." in seen
    assert "Divergent transitions: 7, allowed: none." in seen
    assert "✗ failed" in seen


def test_a_quick_run_is_marked(estimate: hp.Estimate) -> None:
    seen = plain_text(build_report(estimate, None, command=COMMAND, quick=True))
    assert "Quick run: for a look only." in seen


def test_without_variants_the_page_says_so(estimate: hp.Estimate) -> None:
    changed = with_sentence(
        estimate, 'Or {{ variant("small-northtown", "Northtown", "any").median|per1000 }}.'
    )
    text = build_report(changed, None, command=COMMAND)
    assert "Not computed in this run." in text
    assert "Or (not computed)." in text
    assert "figure-variants" not in text


def test_variants_are_named_in_words_and_failures_marked(text: str, variants: pd.DataFrame) -> None:
    seen = plain_text(text)
    assert "With the police figure of 2001" in seen
    number = variants["variant"].nunique()
    assert f"1 of {number} fits failed a check of the sampler" in seen


def test_variants_fill_sentences(estimate: hp.Estimate, variants: pd.DataFrame) -> None:
    changed = with_sentence(
        estimate, '{{ variant("small-northtown", "Northtown", "any", "N").median|people }} people'
    )
    at = (variants["variant"] == "small-northtown") & (variants["quantity"] == "N")
    row = variants[at & (variants["area"] == "Northtown") & (variants["group"] == "any")]
    seen = plain_text(build_report(changed, variants, command=COMMAND))
    assert f"{people(float(row['median'].iloc[0]))} people" in seen


def test_a_quoted_variant_that_failed_is_marked(
    estimate: hp.Estimate, variants: pd.DataFrame
) -> None:
    quoted = 'Or {{ variant("small-northtown", "Northtown", "any").median|per1000 }}.'
    changed = with_sentence(estimate, quoted)
    mark = " (rough: this fit failed its checks)"
    failed = variants.assign(passed=variants["variant"] != "small-northtown")
    fine, rough = render_sentences(changed, variants), render_sentences(changed, failed)
    assert rough["limits"] == [fine["limits"][0], fine["limits"][1] + mark]
    assert mark not in "".join(sentence for part in fine.values() for sentence in part)
    assert mark in plain_text(build_report(changed, failed, command=COMMAND))


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ('{{ N("Nowhere", "any").median }}', "there is no area 'Nowhere'"),
        ('{{ N("Shire", "gamma").median }}', "there is no group 'gamma'"),
        ('{{ row("nothing").value }}', "there is no row of evidence 'nothing'"),
        ('{{ row("n_police").value }}', "row n_police has no column 'value'"),
        ('{{ row("n_treated").valu }}', "row n_treated has no column 'valu'"),
        ('{{ share("luck").median }}', "there is no rate 'luck'"),
        ('{{ population("Atlantis") }}', "there is no area 'Atlantis'"),
        ('{{ variant("nowhere", "Shire", "any").median }}', "there is no variant 'nowhere'"),
        ('{{ variant("without-luck", "Shire", "any").median }}', "there is no variant"),
        ('{{ variant("no-police", "Harbour", "any").median }}', "no reported area 'Harbour'"),
        ('{{ rate("Shire", "any").middle }}', "has no attribute 'middle'"),
        ("{{ N( }}", "unexpected"),
        ("{{ 1|dozens }}", "dozens"),
        ("{{ 1 / 0 }}", "division by zero"),
        ('{{ "".__class__.__mro__ }}', "unsafe"),
    ],
)
def test_a_bad_sentence_is_named(estimate: hp.Estimate, sentence: str, why: str) -> None:
    changed = with_sentence(estimate, sentence)
    for attempt in (
        lambda: check_sentences(changed.data),
        lambda: build_report(changed, None, command=COMMAND),
    ):
        with pytest.raises(hp.HiddenPopError, match=r"report\.limits, sentence 2: ") as caught:
            attempt()
        assert why in str(caught.value)
        assert sentence in str(caught.value)


def test_sentences_cannot_write_markup(estimate: hp.Estimate) -> None:
    changed = with_sentence(estimate, "{{ '<script>' }} <b>bold</b>")
    text = build_report(changed, None, command=COMMAND)
    assert "&lt;script&gt; &lt;b&gt;bold&lt;/b&gt;" in text


def test_a_number_far_from_the_model_is_a_conflict(estimate: hp.Estimate) -> None:
    evidence = estimate.data.data.evidence
    rows = evidence.rows.copy()
    rows.loc["shire_any", ["value", "low", "high"]] = 4e6, 3e6, 5e6
    data = replace(estimate.data.data, evidence=replace(evidence, rows=rows))
    found = conflicts(replace(estimate, data=replace(estimate.data, data=data)))
    (one,) = [conflict for conflict in found if conflict.rows == ("shire_any",)]
    assert one.z > 2
    assert "the source “study” reports 4,000,000" in one.sentence
    assert "(in use)" in one.sentence


def test_a_number_not_in_use_is_judged_by_its_prediction(estimate: hp.Estimate) -> None:
    evidence = estimate.data.data.evidence
    for times, expected in ((1, False), (1000, True)):
        rows = evidence.rows.copy()
        numbers = ["value", "low", "high"]
        rows.loc["s_police_2001", numbers] = times * rows.loc["s_police_2001", numbers]
        data = replace(estimate.data.data, evidence=replace(evidence, rows=rows))
        changed = replace(estimate, data=replace(estimate.data, data=data))
        found = [one for one in conflicts(changed) if one.rows == ("s_police_2001",)]
        predicted = row_conflict(changed, "s_police_2001")
        assert bool(found) is expected is bool(predicted["p"] < 0.05)
    assert found[0].z > 2
    assert "(not in use)" in found[0].sentence
    assert "reports 500,000" in found[0].sentence
    assert (
        f"{plain(predicted['ratio'])} times that, p {p_words(predicted['p'])}" in found[0].sentence
    )


def test_two_numbers_of_one_source_are_held_against_each_other(estimate: hp.Estimate) -> None:
    evidence = estimate.data.data.evidence
    rows = evidence.rows.copy()
    # The bias they share cancels: only their own errors can excuse a ratio of 30.
    change = {"area": "Southtown", "group": "alpha", "kind": "guess", "level": 0.9, "value": 15000}
    rows.loc["n_police", list(change)] = pd.Series(change)
    rows.loc["n_police", ["low", "high"]] = 12000, 18000
    tree = estimate.tree.copy(deep=True)
    expected = tree["posterior"]["without_bias"]
    at = list(evidence.ids)
    expected.values[..., at.index("n_police")] = expected.values[..., at.index("s_police_2001")]
    data = replace(estimate.data.data, evidence=replace(evidence, rows=rows))
    changed = replace(estimate, tree=tree, data=replace(estimate.data, data=data))
    (one,) = [conflict for conflict in conflicts(changed) if len(conflict.rows) == 2]
    assert one.rows == ("s_police_2001", "n_police")
    assert abs(one.z) > 2
    assert "a ratio of 0.033" in one.sentence
    assert "expects 1.0 (1.0 to 1.0)" in one.sentence
    assert np.isfinite(one.z)
