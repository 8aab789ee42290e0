"""Arithmetic of the families that stands on its own: no PyMC, no files, no words."""
