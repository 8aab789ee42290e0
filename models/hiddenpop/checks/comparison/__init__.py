"""Families and numbers left out, predicted and compared."""
