"""Conflict: what everything else says that a source should report."""
