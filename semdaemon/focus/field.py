"""What neighbours say: focus varies smoothly over a frame, with a step here and there.

A tile with little to see is judged with the help of those around it.
The blur of a frame's tiles is taken as a Markov random field on their grid: from one tile to the next
``ln sigma`` mostly changes little, and now and then it jumps to anywhere, so that a step in height stays
a step.
Loopy belief propagation in its reweighted form (Wainwright, Jaakkola and Willsky, *A new class of upper
bounds on the log partition function*, IEEE Trans. Information Theory 51, 2005) gives each tile its
distribution; because neighbours show the same material and err together, what a tile says counts less
than once.
How much, how smooth and how often a step comes was fitted on frames with known focus, see
``python -m semdaemon.training.focus context``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.focus.estimate import Estimate, from_shares, prior_of, shares_of


@dataclass(frozen=True)
class Smoothness:
    """How focus varies over a frame, and how far neighbours are believed.

    Attributes
    ----------
    step_share
        Probability that the blur of the next tile has nothing to do with this one's.
    change
        Half width of the change of ``ln sigma`` from one tile to the next where there is no step.
    doubt
        Probability that what a tile says is about its material and not about its blur.
    faint
        Power of what a tile says whose rows do not stand out of noise: with others it may say something.
    own, trust
        What a tile says counts to itself and to others as this power of its likelihood, 0 to 1.
    reweighting
        Share of spanning trees of the grid that use an edge, 0 to 1: 1 is ordinary belief propagation.
    sharpness
        The belief's own power: makes the interval that is stated as 90 % hold about as many.
    sweeps
        Exchanges of messages: how many tiles far a tile is heard.
    """

    step_share: float = 0.01
    change: float = 0.09
    doubt: float = 0.1
    faint: float = 0.0
    own: float = 0.9
    trust: float = 0.15
    reweighting: float = 0.6
    sharpness: float = 1.4
    sweeps: int = 8


def voices(
    known: npt.NDArray[np.bool_], faint: npt.NDArray[np.bool_], smoothness: Smoothness
) -> npt.NDArray[np.float64]:
    """(n,) how far each tile is heard: fully with signal, less where it is faint, else not at all."""
    return np.where(known, 1.0, np.where(faint, smoothness.faint, 0.0))


def with_context(
    estimate: Estimate, voice: npt.NDArray[np.floating], shape: tuple[int, int], smoothness: Smoothness
) -> Estimate:
    """Each tile's estimate in the light of its neighbours'.

    Parameters
    ----------
    estimate
        Of the tiles of one frame, row by row.
    voice
        (n,) 0 to 1, see `voices`: the power of what a tile says; at 0 it only passes on what it hears.
    shape
        Rows and columns of tiles.
    """
    levels_px, shares = shares_of(estimate)
    says = np.where(np.isfinite(shares).all(axis=1), voice, 0.0)[:, None]
    prior = prior_of(estimate, shares.shape[1])
    likelihood = np.where(says > 0, (1 - smoothness.doubt) * shares / prior + smoothness.doubt, 1.0) ** says
    belief = propagate(likelihood.reshape(*shape, -1), prior, np.log(levels_px), smoothness)
    return from_shares(belief.reshape(len(shares), -1), levels_px, prior=estimate.prior)


def propagate(
    likelihood: npt.NDArray[np.float64],
    prior: npt.NDArray[np.float64],
    edges: npt.NDArray[np.floating],
    smoothness: Smoothness,
) -> npt.NDArray[np.float64]:
    """Beliefs (rows, cols, k) that sum to 1 over k, from likelihoods (rows, cols, k)."""
    kernel = transition(prior, edges, smoothness)
    messages, told = np.ones((4, *likelihood.shape)), np.power(likelihood, smoothness.trust)
    for _ in range(smoothness.sweeps):
        together = told * np.prod(messages, axis=0) ** smoothness.reweighting
        # Messages 0 to 3 came from above, below, left and right; to each neighbour goes all but its own.
        sent = [_shifted(_normal((together / messages[d]) @ kernel.T), d) for d in (1, 0, 3, 2)]
        messages = np.stack(sent)
    heard = np.prod(messages, axis=0) ** smoothness.reweighting
    belief = _normal(np.power(likelihood, smoothness.own) * prior * heard)
    return _normal(np.power(belief, smoothness.sharpness))


def transition(
    prior: npt.NDArray[np.float64], edges: npt.NDArray[np.floating], smoothness: Smoothness
) -> npt.NDArray[np.float64]:
    """(k, k): probability of the blur of the next tile, by column, given this one's, by row."""
    middles = (edges[1:] + edges[:-1]) / 2
    # A Lorentz curve: its tails let tilt and curvature through where a Gaussian's would hold them down.
    near = 1 / (1 + ((middles[:, None] - middles) / smoothness.change) ** 2)
    near /= near.sum(axis=1, keepdims=True)
    return np.asarray((1 - smoothness.step_share) * near + smoothness.step_share * prior, np.float64)


def _shifted(sent: npt.NDArray[np.float64], direction: int) -> npt.NDArray[np.float64]:
    """What was sent above (0), below (1), left (2) or right (3), where it arrives; 1 where nothing does."""
    arrived = np.ones_like(sent)
    if direction == 1:
        arrived[1:] = sent[:-1]
    elif direction == 0:
        arrived[:-1] = sent[1:]
    elif direction == 3:
        arrived[:, 1:] = sent[:, :-1]
    else:
        arrived[:, :-1] = sent[:, 1:]
    return arrived


def _normal(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(values / np.maximum(values.sum(axis=-1, keepdims=True), 1e-300), np.float64)
