"""Write our own results into an analysis' expected.json, beside the published figures.

python analyses/record.py crack-2005 results/crack-2005
"""

import argparse
import csv
import json
from pathlib import Path


def main(name: str, result: Path) -> None:
    """Take the medians and intervals of a finished result over into expected.json."""
    target = Path(__file__).parent / name / "expected.json"
    expected = json.loads(target.read_text(encoding="utf-8"))
    run = json.loads((result / "run.json").read_text(encoding="utf-8"))
    with (result / "estimates.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected["ours"] = {
        "seed": run["seed"],
        "sampling": run["sampling"],
        "versions": run["versions"],
        "tolerance_in_monte_carlo_errors": 4,
        "rows": [
            {key: row[key] for key in ("area", "group", "quantity")}
            | {key: float(row[key]) for key in ("median", "low", "high", "mcse")}
            for row in rows
        ],
    }
    text = json.dumps(expected, indent=2, ensure_ascii=False) + "\n"
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    main(arguments.name, arguments.result)
