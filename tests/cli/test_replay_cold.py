"""The same seed gives the same draws whether the model was compiled anew or came from the cache."""

import os
import subprocess
import sys
from pathlib import Path

TINY = Path(__file__).resolve().parents[1] / "studies" / "tiny"


def hiddenpop(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own that compiles into `folder`."""
    command = [sys.executable, "-c", "from hiddenpop.cli import main; main()", *words]
    environment = os.environ | {"PYTENSOR_FLAGS": f"base_compiledir={folder}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_replay_in_a_second_process_is_identical(tmp_path: Path) -> None:
    result = tmp_path / "result"
    first = hiddenpop(tmp_path / "cache", "run", str(TINY), "--quick", "--out", str(result))
    assert result.exists(), first.stderr
    second = hiddenpop(tmp_path / "cache", "replay", str(result))
    assert second.returncode == 0, second.stderr
    assert second.stdout.strip() == "identical"
