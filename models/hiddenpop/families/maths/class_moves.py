"""Moves of a sampler of latent classes, each of which leaves every tempered posterior as it is.

At level t of a ladder from 0 to 1 the density is

    prior(alpha, V) prod Beta(lambda; a_t, b_t) likelihood^t,

where a_t and b_t go from `HOT` at t = 0 to 1 (the uniform prior) at t = 1. `HOT` puts most chances
of being seen where hidden populations have them, so that a class drawn at random more
often fits some people; what it is changes how fast chains mix and not what they converge to.

Every move acts on all chains at once; each chain has its own level.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hiddenpop.families.maths.class_density import (
    BOUND,
    ClassModel,
    Gradient,
    State,
    log_order,
    log_sticks,
    log_weights,
)

__all__ = [
    "Level",
    "fresh",
    "refresh",
    "relabel",
    "renew_alpha",
    "slide",
    "swap_gain",
    "trajectory",
]

HOT = (0.5, 2.0)

LEAPS = 24
"""Steps of a trajectory. Fewer or more mixed more slowly for the same time on tables with
several modes."""

LEAST_ALPHA = 1e-250


class Level(NamedTuple):
    """The level of each chain.

    Attributes
    ----------
    power
        t, shape (chain,).
    one, zero
        a_t and b_t, shape (chain, 1, 1).
    """

    power: np.ndarray
    one: np.ndarray
    zero: np.ndarray

    @classmethod
    def of(cls, power: np.ndarray) -> Level:
        """From powers, shape (chain,)."""
        tilt = 1 - power[:, None, None]
        return cls(power, 1 + tilt * (HOT[0] - 1), 1 + tilt * (HOT[1] - 1))

    def base(self, logit: np.ndarray) -> np.ndarray:
        """Log density of the Beta chances on the logit scale, up to a constant, (chain,)."""
        each = self.one * logit - (self.one + self.zero) * _softplus(logit)
        return np.asarray(each.sum(axis=(1, 2)))

    def draw_logits(self, chain: np.ndarray, lists: int, rng: np.random.Generator) -> np.ndarray:
        """Logits of draws from the Beta distributions of these chains, shape (draw, list)."""
        one, zero = (
            rng.standard_gamma(shapes[chain, 0], (len(chain), lists))
            for shapes in (self.one, self.zero)
        )
        return np.asarray(np.log(one) - np.log(zero))


def swap_gain(state: State, powers: np.ndarray) -> np.ndarray:
    """Log density gained if neighbours exchanged states, shape (ladder, level - 1).

    Parameters
    ----------
    state
        Of all ladders, level by level.
    powers
        Of the levels.
    """
    level = Level.of(powers)
    one, both = level.one.ravel(), (level.one + level.zero).ravel()
    soft = _softplus(state.logit)
    gain = np.zeros((len(state.fit) // len(powers), len(powers) - 1))
    for factor, value in (
        (powers, state.fit), (one, state.logit.sum(axis=(1, 2))), (-both, soft.sum(axis=(1, 2)))
    ):  # fmt: skip
        gain -= np.diff(factor) * np.diff(value.reshape(-1, len(powers)), axis=1)
    return gain


def fresh(model: ClassModel, chains: int, rng: np.random.Generator) -> State:
    """Independent draws at level 0."""
    alpha = _draw_alpha(model, np.zeros(chains), np.zeros(chains), rng)
    stick = _draw_sticks(alpha, model.classes, rng)
    lists = model.captures.shape[1]
    chain = np.repeat(np.arange(chains), model.classes)
    logit = Level.of(np.zeros(chains)).draw_logits(chain, lists, rng)
    logit = logit.reshape(chains, model.classes, lists)
    return State(logit, stick, alpha, model.fit(logit, stick))


def trajectory(
    model: ClassModel, state: State, level: Level, step: np.ndarray, rng: np.random.Generator
) -> tuple[State, np.ndarray]:
    """Hamiltonian dynamics of logit lambda and logit V at fixed alpha (Neal 2011).

    Parameters
    ----------
    step
        Step size of each chain, shape (chain,).

    Returns
    -------
    tuple
        The new state, and the chance with which each chain accepted.
    """
    wide, narrow = step[:, None, None], step[:, None]
    logit, stick = state.logit.copy(), state.stick.copy()
    push, pull = rng.standard_normal(logit.shape), rng.standard_normal(stick.shape)
    # A trajectory that runs away overflows; its energy is then not a number, and it is refused.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = model.gradient(logit, stick)
        before = _energy(found, logit, stick, state.alpha, level) - _kinetic(push, pull)
        for leap in range(LEAPS + 1):
            half = 0.5 if leap in (0, LEAPS) else 1.0
            up, down = _force(found, state.alpha, level)
            push += half * wide * up
            pull += half * narrow * down
            if leap < LEAPS:
                logit += wide * push
                stick += narrow * pull
                found = model.gradient(logit, stick)
        after = _energy(found, logit, stick, state.alpha, level) - _kinetic(push, pull)
        chance = np.exp(np.minimum(0.0, np.nan_to_num(after - before, nan=-np.inf)))
    accepted = rng.random(len(chance)) < chance
    return state.where(accepted, State(logit, stick, state.alpha, found.fit)), chance


def _energy(
    found: Gradient, logit: np.ndarray, stick: np.ndarray, alpha: np.ndarray, level: Level
) -> np.ndarray:
    """Log density of a point, up to a constant."""
    log_broken, log_rest = log_sticks(stick)
    sticks = (log_broken + alpha[:, None] * log_rest).sum(axis=1)
    return np.asarray(level.power * found.fit + level.base(logit) + sticks)


def _force(found: Gradient, alpha: np.ndarray, level: Level) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the log density."""
    power = level.power
    up = power[:, None, None] * found.logit + level.one - (level.one + level.zero) * found.chance
    down = power[:, None] * found.stick + 1 - found.broken - alpha[:, None] * found.broken
    return up, down


def _kinetic(push: np.ndarray, pull: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * ((push**2).sum(axis=(1, 2)) + (pull**2).sum(axis=1)))


def refresh(model: ClassModel, state: State, level: Level, rng: np.random.Generator) -> State:
    """Draw alpha and all sticks from a random one on anew, and the chances of the last classes.

    Given the first m sticks alpha is Gamma(shape + m, rate - sum_{k<=m} log(1 - V_k)); the
    other sticks and chances come from their prior at this level, so that the likelihood alone
    decides. Classes that hold nobody are renewed at no cost, new ones are born and small ones
    die. Updating alpha given all sticks only, as is usual, sticks: alpha then sees little but
    the weight of the last class.
    """
    chains, classes = len(state.alpha), model.classes
    kept = rng.integers(0, classes, chains)
    first = kept + np.floor(rng.random(chains) * (classes - kept + 1)).astype(int)
    old_sticks = np.arange(classes - 1) < kept[:, None]
    log_rest = (log_sticks(state.stick)[1] * old_sticks).sum(axis=1)
    alpha = _draw_alpha(model, kept, log_rest, rng)
    stick = np.where(old_sticks, state.stick, _draw_sticks(alpha, classes, rng))
    logit = state.logit.copy()
    chain, place = np.nonzero(np.arange(classes) >= first[:, None])
    logit[chain, place] = level.draw_logits(chain, logit.shape[2], rng)
    proposal = State(logit, stick, alpha, model.fit(logit, stick))
    return _choose(state, proposal, level.power * (proposal.fit - state.fit), rng)


def slide(model: ClassModel, state: State, level: Level, rng: np.random.Generator) -> State:
    """Make one class, or all, less or more visible while as many of it are seen.

    This is the direction in which N is least known. On the scale of log weights the move adds
    to one coordinate a function of others, so that volumes stay: the density of pi counts with
    prod pi_k (the Jacobian of log weights).
    """
    chains, classes = len(state.alpha), model.classes
    one = np.arange(classes) == rng.integers(0, classes, chains)[:, None]
    moved = one | (rng.random((chains, 1)) < 0.5)
    distance = rng.standard_normal(chains) * np.exp(rng.uniform(-4, 0.5, chains))
    logit = state.logit + (moved * distance[:, None])[:, :, None]
    before = log_weights(state.stick)
    after = before + _log_seen(state.logit) - _log_seen(logit)
    after -= np.logaddexp.reduce(after, axis=1, keepdims=True)
    density, _ = log_order(before, state.alpha)
    new_density, stick = log_order(after, state.alpha)
    proposal = State(logit, stick, state.alpha, model.fit(logit, stick))
    ratio = (
        level.power * (proposal.fit - state.fit)
        + level.base(logit) - level.base(state.logit)
        + new_density + after.sum(axis=1) - density - before.sum(axis=1)
    )  # fmt: skip
    return _choose(state, proposal, ratio, rng)


def relabel(state: State, rng: np.random.Generator, times: int) -> State:
    """Swap the places of two random classes, some times over: the likelihood stays.

    Source: Papaspiliopoulos & Roberts 2008 (Biometrika 95:169), section 3.4.
    """
    chains, classes, _ = state.logit.shape
    rows = np.arange(chains)
    order = np.tile(np.arange(classes), (chains, 1))
    weight = log_weights(state.stick)
    density, stick = log_order(weight, state.alpha)
    for _ in range(times):
        one = rng.integers(0, classes, chains)
        other = (one + rng.integers(1, classes, chains)) % classes
        swapped = np.tile(np.arange(classes), (chains, 1))
        swapped[rows, one], swapped[rows, other] = other, one
        new_weight = np.take_along_axis(weight, swapped, axis=1)
        new_density, new_stick = log_order(new_weight, state.alpha)
        accepted = np.log(rng.random(chains)) < new_density - density
        density = np.where(accepted, new_density, density)
        wide = accepted[:, None]
        weight = np.where(wide, new_weight, weight)
        stick = np.where(wide, new_stick, stick)
        order = np.where(wide, np.take_along_axis(order, swapped, axis=1), order)
    logit = np.take_along_axis(state.logit, order[:, :, None], axis=1)
    unmoved = (order == np.arange(classes)).all(axis=1)[:, None]
    return state._replace(logit=logit, stick=np.where(unmoved, state.stick, stick))


def renew_alpha(model: ClassModel, state: State, rng: np.random.Generator) -> State:
    """Draw alpha given all sticks: Gamma(shape + K - 1, rate - log pi_K)."""
    sticks = np.full(len(state.alpha), model.classes - 1)
    log_rest = log_sticks(state.stick)[1].sum(axis=1)
    return state._replace(alpha=_draw_alpha(model, sticks, log_rest, rng))


def _draw_alpha(
    model: ClassModel, sticks: np.ndarray, log_rest: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Alpha given some sticks, of which `log_rest` sums log(1 - V)."""
    drawn = rng.standard_gamma(model.alpha_shape + sticks) / (model.alpha_rate - log_rest)
    return np.maximum(drawn, LEAST_ALPHA)


def _draw_sticks(alpha: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Logits of V ~ Beta(1, alpha): -log(1 - V) is exponential with rate alpha."""
    log_rest = -rng.standard_exponential((len(alpha), classes - 1)) / alpha[:, None]
    return np.asarray(np.log(np.maximum(-np.expm1(log_rest), LEAST_ALPHA)) - log_rest)


def _choose(
    state: State, proposal: State, log_ratio: np.ndarray, rng: np.random.Generator
) -> State:
    """Metropolis-Hastings."""
    return state.where(np.log(rng.random(len(log_ratio))) < log_ratio, proposal)


def _softplus(logit: np.ndarray) -> np.ndarray:
    """-log(1 - lambda)."""
    return np.asarray(np.log1p(np.exp(np.minimum(logit, BOUND))))


def _log_seen(logit: np.ndarray) -> np.ndarray:
    """Log of the chance to be on some list, shape (chain, class)."""
    return np.asarray(np.log(-np.expm1(-_softplus(logit).sum(axis=2))))
