"""Coverage of 95 % intervals of the family `multiplier`, 1,000 replicates of each scenario.

Scenarios and limits are those of benchmarks/multiplier_coverage.py, which writes the page.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

__all__: list[str] = []

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "multiplier_coverage.py"


def load() -> ModuleType:
    """The script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("multiplier_coverage", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its data classes look themselves up by their module's name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


study = load()


@pytest.mark.slow
@pytest.mark.calibration
@pytest.mark.parametrize("scenario", study.SCENARIOS, ids=lambda scenario: scenario.name)
def test_intervals_cover_as_often_as_asked(scenario) -> None:  # noqa: ANN001 - from the script
    results = study.covered(scenario)
    for analysis, found in zip(scenario.analyses, results, strict=True):
        if analysis.limits is not None:
            assert analysis.limits.low <= found.coverage <= analysis.limits.high, (
                f"{analysis.name}: {found}"
            )


def test_a_few_replicates_run() -> None:
    for scenario in study.SCENARIOS[:2]:
        results = study.covered(scenario, replicates=3)
        assert len(results) == len(scenario.analyses)
        for found in results:
            assert found.replicates == found.inside + found.below + found.above == 3
            assert found.width > 1
