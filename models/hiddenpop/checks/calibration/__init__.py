"""Ranks of truths in their posteriors, and coverage."""
