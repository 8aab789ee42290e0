"""Synthetic data for every family, written apart from its model.

Each module holds `draw_truth(data, priors, rng)` and `simulate(truth, rng)`.
"""
