"""The command line."""

from __future__ import annotations

from hiddenpop.cli.app import app, main

__all__ = ["app", "main"]
