"""Making one deviation smaller: small passes around one gate, as Hypothesis shrinks examples.

Smaller is: fewer changed pixels, then a smaller Linf, then a smaller L2, in that order. A deviation
lies between two boundaries that nearly touch: short of it the deployed model still agrees, beyond
it the original has left its label, too. To take away changes at random moves an image short of the
gap. So the passes balance: they rank pixels by the gradients of original and shadow, keep the best,
push these as far as the bound allows, and look for the gap along that way. Gradients only choose
what to try; the original and the deployed model decide.

An entry's shrinking is a generator. It asks for one trial or one gradient at a time, and so knows
nothing of batches: what becomes of an entry depends on that entry alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator

import numpy as np
from numpy.typing import NDArray

from compd.corpus.trials import Ask, Floats, Judged, Levels, Outcome, Pixels, Reply, Slopes, change

__all__ = ["Steps", "shrink"]

ATTEMPTS = 3  # ways of ranking pixels that are tried for each gradient
JITTER = 0.25  # standard deviation of the logarithm of their ranks, after the first way
PARTS = 8  # chunks that the changed pixels are cut into at first
# Exchanges that would spare less than a twentieth, and chunks whose reverting spared less than a
# tenth, cost more trials than smaller chunks do.
LEAST_EXCHANGED, LEAST_REVERTED = 0.05, 0.1


Steps = Generator[Ask, Reply, Pixels | None]
Pass = Generator[Ask, Reply, None]
Trying = Generator[Ask, Reply, bool]  # whether it led to a smaller image


def shrink(
    image: Pixels,
    seed: Pixels,
    *,
    bound: int,
    trials: int,
    draws: np.random.Generator,
    length: int | None = None,
    keep_severity: float = 0.0,
) -> Steps:
    """Look for the smallest change of a seed that keeps a flip.

    Args:
        image: uint8 (C, H, W), a deviation.
        seed: uint8 (C, H, W), what it was found from.
        bound: levels that a value may be changed by; what is further off already may stay there.
        trials: images to try at most.
        draws: randomness of this entry.
        length: Euclidean length of the whole change in levels, likewise; None for any.
        keep_severity: share of the image's severity that a smaller one has to keep, 0..1.

    Yields:
        What it wants to know; send the answer.

    Returns:
        The smallest image found whose outcome was :attr:`Outcome.FLIP`; None if that of ``image``
        itself was not.
    """
    first = yield Ask(image)
    assert isinstance(first, Judged)
    if first.outcome is not Outcome.FLIP:
        return None
    least = keep_severity * first.severity
    state = _Shrinking(image, seed, bound, trials, draws, length, least)
    try:
        for one_pass in (state.fewer, state.lower, state.soften):
            yield from one_pass()
    except _EnoughError:
        pass
    return state.image


class _EnoughError(Exception):
    """All trials are used up."""


class _Shrinking:
    def __init__(
        self,
        image: Pixels,
        seed: Pixels,
        bound: int,
        trials: int,
        draws: np.random.Generator,
        length: int | None,
        least: float,
    ) -> None:
        self.image = image
        self._seed = seed.astype(np.int16)
        self._size = change(image, seed)
        bound = max(bound, self._size[1])
        self._longest = None if length is None else max(length**2, self._size[2])
        self._low = np.maximum(self._seed - bound, 0) - self._seed  # least and most of a change
        self._high = np.minimum(self._seed + bound, 255) - self._seed
        self._trials = trials
        self._draws = draws
        self._least = least
        self._known: dict[bytes, Outcome] = {}

    @property
    def _delta(self) -> Levels:
        return self.image.astype(np.int16) - self._seed

    def _consider(self, delta: Levels) -> Generator[Ask, Reply, Outcome]:
        """The gate: every change is tried here, and is taken if it is smaller and keeps the flip.

        Raises:
            _EnoughError: if there are no trials left.
        """
        if not delta.any():  # the seed itself is never a deviation
            return Outcome.SHORT
        image = (self._seed + delta).astype(np.uint8)
        size = change(image, self._seed.astype(np.uint8))
        if self._longest is not None and size[2] > self._longest:
            return Outcome.OVER  # as what is pushed too far
        key = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        if key not in self._known:
            if not self._trials:
                raise _EnoughError
            self._trials -= 1
            judged = yield Ask(image, least=self._least)
            assert isinstance(judged, Judged)
            self._known[key] = judged.outcome
        outcome = self._known[key]
        if outcome is Outcome.FLIP:
            if size >= self._size:
                return Outcome.SHORT
            self.image, self._size = image, size
        return outcome

    def _slopes(self) -> Generator[Ask, Reply, Slopes]:
        slopes = yield Ask(self.image, slopes=True)
        assert isinstance(slopes, Slopes)
        return slopes

    def _search(self, at: Callable[[int], Levels], last: int, start: int) -> Trying:
        """Look for a flip on a way from short of the gap (0) to beyond it (``last``)."""
        low, high, step = 0, last, max(1, last // 32)
        n = min(max(start, low), high)
        while low <= high:
            outcome = yield from self._consider(at(n))
            if outcome is Outcome.FLIP:
                return True
            if outcome is Outcome.SHORT:
                low = n + 1
            else:
                high = n - 1
            # the guess is often close: first in growing steps away from it, then by halves
            reach = n - int(outcome) * step
            n = reach if low < reach < high else (low + high) // 2
            step *= 4
        return False

    def fewer(self) -> Pass:
        """Fewer pixels: exchange weak for strong ones, or give chunks back, until neither helps."""
        share, parts = 0.5, PARTS
        while self._size[0] > 1:
            before = self._size[0]
            slopes = yield from self._slopes()
            exchanged = yield from self._exchange(slopes, share)
            share = max(0.5, share - 0.05) if exchanged else (1 + share) / 2
            if exchanged:
                continue
            size = max(1, before // parts)
            yield from self._revert(slopes, size)
            if self._size[0] > before * (1 - LEAST_REVERTED):
                if size == 1 and self._size[0] == before:
                    return
                parts *= 2

    def _exchange(self, slopes: Slopes, share: float) -> Trying:
        """Give up weak pixels for pushing strong ones: few pixels, each as far as allowed."""
        if share > 1 - LEAST_EXCHANGED:
            return False
        for attempt in range(ATTEMPTS):
            weight = self._ranking(slopes, attempt)
            if (yield from self._rebuild(slopes, weight)) or (
                yield from self._focus(slopes, weight, share)
            ):
                return True
        return False

    def _ranking(self, slopes: Slopes, attempt: int) -> Floats:
        """What a level is worth at each value; jittered after the first attempt."""
        ahead = slopes.shadow - slopes.original  # where the deployed model gives way first
        weight = (slopes.original + slopes.shadow) / 2 + (4 if attempt > 1 else 1) * ahead
        if attempt:
            noise = self._draws.standard_normal(weight.shape, dtype=np.float32)
            weight = weight * np.exp(JITTER * noise)
        return weight

    def _rebuild(self, slopes: Slopes, weight: Floats) -> Trying:
        """From the seed: the strongest pixels as far as allowed, as many as it takes."""
        full = np.where(weight < 0, self._high, self._low)
        order = np.argsort((weight * full).sum(0).ravel(), kind="stable")  # strongest first
        slope = (slopes.original + slopes.shadow) / 2
        margin = slopes.margin - (slope * self._delta).sum()  # of the seed, by first order
        falling = margin + np.cumsum((slope * full).sum(0).ravel()[order])

        def at(n: int) -> Levels:
            taken = np.zeros(len(order), dtype=bool)
            taken[order[:n]] = True
            return np.where(taken.reshape(full.shape[1:]), full, 0)

        start = int(np.argmax(falling < 0)) + 1
        return (yield from self._search(at, self._size[0] - 1, start))

    def _focus(self, slopes: Slopes, weight: Floats, share: float) -> Trying:
        """Keep the strongest share of the changed pixels, and push as many values as it takes."""
        delta = self._delta
        full = np.where(weight < 0, self._high, self._low)
        worth = (weight * full).sum(0)
        kept = np.zeros(worth.shape, dtype=bool)
        kept.ravel()[np.argsort(worth.ravel(), kind="stable")[: int(share * self._size[0])]] = True
        base = np.where(kept, delta, 0)
        return (yield from self._push(slopes, weight, base, full, kept))

    def _push(
        self, slopes: Slopes, weight: Floats, base: Levels, full: Levels, where: NDArray[np.bool_]
    ) -> Trying:
        """Move values from ``base`` to ``full``, the most useful first, as many as it takes."""
        gain = (weight * (full - base) * where).ravel()
        order = np.argsort(gain, kind="stable")
        order = order[gain[order] < 0]
        slope = (slopes.original + slopes.shadow) / 2
        margin = slopes.margin + (slope * (base - self._delta)).sum()
        falling = margin + np.cumsum((slope * (full - base)).ravel()[order])

        def at(n: int) -> Levels:
            moved = base.copy().ravel()
            moved[order[:n]] = full.ravel()[order[:n]]
            return moved.reshape(base.shape)

        start = int(np.argmax(falling < 0)) + 1 if (falling < 0).any() else len(order)
        return (yield from self._search(at, len(order), start))

    def _revert(self, slopes: Slopes, size: int) -> Pass:
        """Give pixels back to the seed, in chunks, the least useful first."""
        order = np.argsort(-(slopes.shadow * self._delta).sum(0).ravel(), kind="stable")
        order = order[self._delta.any(0).ravel()[order]]
        for start in range(0, len(order), size):
            delta = self._delta
            delta.reshape(len(delta), -1)[:, order[start : start + size]] = 0
            yield from self._consider(delta)

    def lower(self) -> Pass:
        """Lower the bound on the same pixels, as long as pushing others makes up for it."""
        found = True
        while found and self._size[1] > 1:
            slopes = yield from self._slopes()
            delta, bound = self._delta, self._size[1] - 1
            weight = self._ranking(slopes, 0)
            base = delta.clip(-bound, bound)
            full = np.where(weight < 0, self._high, self._low).clip(-bound, bound)
            found = yield from self._push(slopes, weight, base, full, np.asarray(delta.any(0)))

    def soften(self) -> Pass:
        """Bring values nearer to the seed's, in chunks that halve, until none comes nearer."""
        size = max(1, int((self._delta != 0).sum()) // 2)
        slopes = yield from self._slopes()
        while True:
            before = self._size
            order = np.argsort(-(slopes.shadow * self._delta).ravel(), kind="stable")
            order = order[self._delta.ravel()[order] != 0]
            for start in range(0, len(order), size):
                yield from self._nearer(order[start : start + size])
            if size == 1 and self._size == before:
                return
            size = max(1, size // 2)

    def _nearer(self, chunk: NDArray[np.intp]) -> Pass:
        """Some values back to the seed's; if not that, half way; if not that, by a level."""
        values = self._delta.ravel()[chunk]
        for less in (0 * values, np.trunc(values / 2), values - np.sign(values)):
            delta = self._delta.ravel()
            delta[chunk] = less
            if (yield from self._consider(delta.reshape(self._seed.shape))) is Outcome.FLIP:
                return
