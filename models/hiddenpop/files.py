"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hiddenpop.errors import ResultError

__all__ = ["whole"]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place once the block ends well.

    Raises
    ------
    ResultError
        If it cannot be written (a full disk, a folder without permission).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise ResultError(f"{path} could not be written ({error}).") from error
    finally:
        temporary.unlink(missing_ok=True)
