"""The wheel holds the whole package and the listed data, and nothing else.

People keep lists of real persons beside such folders, so the data in the wheel is compared with the
manifest file by file.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest

__all__: list[str] = []

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "models" / "hiddenpop"
DATA = ROOT / "data" / "hiddenpop_data"
MANIFEST = DATA / "manifest.json"


def is_data(path: PurePosixPath) -> bool:
    """Whether the manifest has to list a file: all but itself and the package's own Python."""
    return path != PurePosixPath("manifest.json") and path.suffix not in {".py", ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Return the root of a wheel built from the working copy as it is now."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    built = subprocess.run(
        [*build, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


@pytest.fixture(scope="module")
def packed(wheel: zipfile.Path) -> set[PurePosixPath]:
    """Return the paths of all files in the wheel."""
    names = wheel.root.namelist()
    return {PurePosixPath(name) for name in names if not name.endswith("/")}


@pytest.fixture(scope="module")
def manifest() -> dict[str, str]:
    """Return the manifest: path below data/hiddenpop_data to SHA-256."""
    files: dict[str, str] = json.loads(MANIFEST.read_text(encoding="utf-8"))["files"]
    return files


def packed_data(packed: set[PurePosixPath]) -> set[str]:
    """Return the data files in the wheel, as paths below hiddenpop_data."""
    inside = {p.relative_to("hiddenpop_data") for p in packed if p.parts[0] == "hiddenpop_data"}
    return {str(path) for path in inside if is_data(path)}


def test_every_data_file_is_in_the_manifest(manifest: dict[str, str]) -> None:
    found = {PurePosixPath(p.relative_to(DATA).as_posix()) for p in DATA.rglob("*") if p.is_file()}
    assert {str(path) for path in found if is_data(path)} == set(manifest)


def test_the_wheel_holds_the_data_of_the_manifest_and_no_other(
    packed: set[PurePosixPath], manifest: dict[str, str]
) -> None:
    assert manifest, "an empty manifest would make this test pass for nothing"
    assert packed_data(packed) == set(manifest)


def test_the_data_in_the_wheel_has_the_manifest_hashes(
    wheel: zipfile.Path, manifest: dict[str, str]
) -> None:
    data = wheel / "hiddenpop_data"
    hashes = {name: hashlib.sha256((data / name).read_bytes()).hexdigest() for name in manifest}
    assert hashes == manifest


def test_the_manifest_is_in_the_wheel(packed: set[PurePosixPath]) -> None:
    assert PurePosixPath("hiddenpop_data/manifest.json") in packed


def test_the_wheel_holds_two_packages_and_its_metadata(packed: set[PurePosixPath]) -> None:
    metadata = f"hiddenpop-{version('hiddenpop')}.dist-info"
    assert {path.parts[0] for path in packed} == {"hiddenpop", "hiddenpop_data", metadata}


def test_the_wheel_holds_every_file_of_the_package(packed: set[PurePosixPath]) -> None:
    sources = {
        PurePosixPath(path.relative_to(PACKAGE.parent).as_posix())
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources == {path for path in packed if path.parts[0] == "hiddenpop"}


def test_the_wheel_holds_the_templates_of_the_report(packed: set[PurePosixPath]) -> None:
    templates = PurePosixPath("hiddenpop/report/templates")
    assert any(path.parent == templates and path.suffix == ".j2" for path in packed)


def test_the_wheel_says_that_it_is_typed(packed: set[PurePosixPath]) -> None:
    assert PurePosixPath("hiddenpop/py.typed") in packed


def test_the_wheel_holds_the_licence_and_the_command(wheel: zipfile.Path) -> None:
    (info,) = (p for p in wheel.iterdir() if p.name.endswith(".dist-info"))
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
    commands = (info / "entry_points.txt").read_text(encoding="utf-8")
    assert "hiddenpop = hiddenpop.cli:main" in commands
