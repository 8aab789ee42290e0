"""Write manifest.json: the SHA-256 of every shipped data file.

python data/raw/make_manifest.py            writes it
python data/raw/make_manifest.py --check    fails if it is not up to date
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

__all__ = ["manifest"]

SHIPPED = Path(__file__).parent.parent / "hiddenpop_data"


def manifest() -> dict[str, dict[str, str]]:
    """Hashes by path below `hiddenpop_data`, without Python files and the manifest itself."""
    files = {
        path.relative_to(SHIPPED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(SHIPPED.rglob("*"))
        if path.is_file() and path.suffix not in {".py", ".pyc"} and path.name != "manifest.json"
    }
    return {"files": files}


if __name__ == "__main__":
    target = SHIPPED / "manifest.json"
    text = json.dumps(manifest(), indent=2) + "\n"
    if "--check" not in sys.argv[1:]:
        target.write_text(text, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{target} is out of date: run python data/raw/make_manifest.py")
