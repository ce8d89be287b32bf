"""What published studies found, tried on CIFAR-10 with a third-party ResNet-20.

Each line is a finding, what is asked for it to hold, what was measured, and whether it holds. A
finding that does not hold here is told as not holding. ``a8`` and ``a7`` are the original quantised
after training with activations of 8 and of 7 bits.

    python benchmarks/study.py --out study/
    python benchmarks/study.py --parts bits,guard --out study/

``--out`` keeps answers, so that a second run, or one that was cut off, asks for none again.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import setup as bench
import torch
from scipy.stats import spearmanr

from compd.cli.display import live
from compd.compress import Ptq
from compd.pair import Pair
from compd.shifts import groups
from compd.studies import Bench, Bits, Guard, StudyReport, study
from compd.studies.guard import choose
from compd.studies.metrics import bins_of
from compd.studies.shifts import SetFigures

A8, A7, W4 = Ptq(8, 8), Ptq(8, 7), Ptq(4, 8)
Row = tuple[str, str, str, str]  # finding, asked, measured, whether it holds
HALVINGS = 100


class Tried:
    """The pairs and the settings of a run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.splits = bench.splits_of(options)
        self._pairs: dict[Ptq, Pair] = {}

    def pair(self, compress: Ptq) -> Pair:
        if compress not in self._pairs:
            self._pairs[compress] = bench.pair_of(self.options, self.splits, compress)
        return self._pairs[compress]

    @property
    def folder(self) -> Path | None:
        return Path(self.options.out) / "answers" if self.options.out else None

    def lab(self, compress: Ptq) -> Bench:
        """All clean rows, for what no study tells."""
        return Bench(self.pair(compress), self.splits.test(), folder=self.folder)

    def study(
        self,
        compress: Ptq,
        studies: object,
        kinds: str = "",
        *,
        limit: int | None = None,
        severities: tuple[float, ...] = (5.0,),
    ) -> StudyReport:
        with live() as control:
            return study(
                self.pair(compress),
                self.splits,
                studies=studies,
                kinds=kinds,
                severities=severities,
                limit=limit,
                folder=self.folder,
                control=control,
            )


def anchors(tried: Tried) -> Iterator[Row]:
    clean = tried.study(A8, "shifts").results["shifts"].clean
    right = clean.flips.both_right + clean.flips.only_original
    yield row("1 anchor", "original right on 9,173", f"{right:,}", right == 9173)
    original = tried.pair(A8).original
    same = Pair.from_modules(
        original, copy.deepcopy(original), example=tried.splits.seeds.images[:1]
    )
    twice = study(same, tried.splits.test(500), studies="shifts,uncertainty", kinds="fog:5")
    shifts, sets = twice.results["shifts"], twice.results["uncertainty"].sets
    counts = [one.disagreement.count + one.ties for one in (shifts.clean, *shifts.sets)]
    none = sum(counts) == 0 == shifts.clean.kl and all(one.original == {} for one in sets)
    yield row(
        "1 the same model twice", "counts 0, KL 0, no AUC", f"{counts}, {shifts.clean.kl}", none
    )
    change, count = 100 * (clean.accuracy_change or 0), clean.disagreement.count
    holds = abs(change) <= 0.2 and 20 <= count <= 90
    measured = f"{change:+.2f}; {count}, {clean.ties} of them ties"
    yield row("2 Hu 2: disagreement without loss", "a8: |change| <= 0.2, 20 to 90", measured, holds)


def bits(tried: Tried) -> Iterator[Row]:
    found = tried.study(A8, [Bits(activation_bits=8)]).results["bits"]
    swapped = [one.swapped for one in found.bits]
    never = all(b.high >= a.share for a, b in pairwise(swapped))
    holds = never and swapped[0].share <= 0.01 and swapped[-1].share >= 0.05
    shares = " ".join(f"{100 * one.share:.2f}" for one in swapped)
    lost = " ".join(f"{100 * one.error_change:+.2f}" for one in found.bits)
    kl = " ".join(f"{one.kl:.4f}" for one in found.bits)
    yield row(
        "3 Xia b: swapped far above lost accuracy",
        "w8..w4 never falls, w8 <= 1 %, w4 >= 5 %",
        f"{shares} %; lost {lost}; KL {kl}",
        holds,
    )
    ratio = [one.ratio or 0.0 for one in found.bits]
    exact = all(
        abs(one.ratio - (one.right_before - one.right_after)) < 1e-12
        for one in found.bits
        if one.ratio is not None
    )
    holds = exact and max(map(abs, ratio[:3])) <= 0.15 and ratio[4] > ratio[3] > ratio[2]
    asked = "<= .15 at w8 to w6, then rising; identity exact"
    yield row("4 Xia c: ratio near 0, then rising", asked, words(ratio), holds)
    median = [one.median_confidence or 0.0 for one in found.bits]
    holds = median == sorted(median) and median[0] <= 0.6
    asked = "median rises w8 to w4, w8 <= .6"
    yield row("5 Xia c: low confidence swaps first", asked, words(median), holds)
    extreme = [one.extreme for one in found.bits]
    holds = not sum(extreme[:4]) and extreme[4] > 50
    yield row("8 extremes", "none at w8 to w5, many at w4", str(extreme), holds)


def calibration(tried: Tried) -> Iterator[Row]:
    found = tried.study(A8, "calibration").results["calibration"].sets[0].original
    lab = tried.lab(A8)
    clean = lab.answers(lab.clean)
    confidence = clean.probabilities(False).amax(1).numpy()
    wide = bins_of(confidence, clean.right(False).numpy(), np.linspace(0, 1, 16))
    below = all(
        one.accuracy < one.confidence
        for one in wide
        if one.count >= 100 and one.accuracy is not None and one.confidence is not None
    )
    measured = f"{100 * found.ece:.2f} % (equal count {100 * found.ece_equal_count:.2f})"
    holds = 0.045 <= found.ece <= 0.06 and below
    asked = "ECE 4.5 to 6 %, below the diagonal in each bin of >= 100"
    yield row("6 Xia a: overconfident", asked, measured, holds)


def uncertainty(tried: Tried) -> Iterator[Row]:
    names = ("margin", "least_confidence", "gini", "entropy")
    for compress, asked in ((A8, "AUC >= .97, above the others"), (W4, "margin is not best")):
        clean = tried.study(compress, "uncertainty").results["uncertainty"].sets[0]
        own, device = (
            [found[name].value for name in names] for found in (clean.original, clean.deployed)
        )
        above = all(one.low > 0 for one in clean.margin_above.values())
        measured = f"{words(own)}; of the deployed model {words(device)}"
        if compress is A8:
            holds = own[0] >= 0.97 and above and device[0] == max(device)
            yield row("7 Hu 8: margin best", asked, measured, holds)
        else:
            yield row("8 where that ends: w4", asked, measured, own[0] < max(own))


def shifts(tried: Tried) -> Iterator[Row]:
    for name, compress in (("a8", A8), ("a7", A7)):
        found = tried.study(compress, "shifts", "cifar10-c").results["shifts"]
        base = found.clean.disagreement.share
        more = [
            one
            for one in found.sets
            if one.p_value is not None and one.p_value < 0.01 and one.disagreement.share > base
        ]
        factors = [one.factor or 0.0 for one in more]
        holds = len(more) >= 17 and min(factors) >= 2 and max(factors) <= 15
        some = ("gaussian_noise", "shot_noise", "impulse_noise", "gaussian_blur", "contrast")
        told = " ".join(
            f"{kind} {100 * found.of(f'{kind}:5').disagreement.share:.2f}" for kind in some
        )
        yield row(
            f"9 Hu 3: shifts disagree more ({name})",
            ">= 17 of 19 kinds, p < .01; factor 2 to 15",
            f"{len(more)}, factors {min(factors):.1f} to {max(factors):.1f}; clean "
            f"{100 * base:.2f} %, {told}",
            holds,
        )
        if compress is A8:
            signs = f"better on {found.better} ({found.better_surely} surely), worse on "
            signs += f"{found.worse} ({found.worse_surely} surely)"
            both = found.better > 0 and found.worse > 0
            yield row("11 Hu 1: either sign of change", "both occur", signs, both)
    graded = tried.study(
        A8, "shifts", "cifar10-c", limit=2000, severities=(1.0, 2.0, 3.0, 4.0, 5.0)
    ).results["shifts"]
    rising = {}
    for kind in groups()["cifar10-c"]:
        shares = [one.disagreement.share for one in by_severity(graded.sets, kind)]
        rising[kind] = float(spearmanr(range(5), shares).statistic)
    count = sum(rho > 0 for rho in rising.values())
    flat = ", ".join(kind for kind, rho in rising.items() if not rho > 0)
    measured = f"{count}; not: {flat or 'none'}"
    yield row("10 severity", "Spearman > 0 for >= 14 of 19 kinds", measured, count >= 14)


def by_severity(sets: tuple[SetFigures, ...], kind: str) -> list[SetFigures]:
    mine = [one for one in sets if one.kind == kind]
    return sorted(mine, key=lambda one: one.severity or 0.0)


def noise(tried: Tried) -> Iterator[Row]:
    fine = ",".join(f"awgn:{sigma}" for sigma in (0.02, 0.04, 0.06, 0.08))
    kinds = f"noise,{fine}"
    eight = tried.study(A8, "shifts", kinds, limit=2000).results["shifts"]
    seven = tried.study(A7, "shifts", kinds, limit=2000).results["shifts"]
    for name, found in (("a8", eight), ("a7", seven)):
        worst = max(found.sets, key=lambda one: abs(one.accuracy_change or 0.0))
        change = 100 * (worst.accuracy_change or 0.0)
        asked = "|change| <= 2.5 points at each level"
        measured = f"{change:+.2f} ({worst.name})"
        yield row(f"15 Langille: int8 follows ({name})", asked, measured, abs(change) <= 2.5)
    kl7, kl8 = ([one.kl for one in by_severity(found.sets, "awgn")] for found in (seven, eight))
    peak = int(np.argmax(kl7))
    told = f"a7 {words(kl7, 4)}; a8 {words(kl8, 4)}"
    asked = "a7: rises, then falls"
    yield row("16 Langille: KL under AWGN peaks", asked, told, 0 < peak < len(kl7) - 1)
    clip8, clip7 = (
        [one.clipped_above or 0.0 for one in by_severity(found.sets, "awgn")]
        for found in (eight, seven)
    )
    rho = float(spearmanr(clip8, kl8).statistic)
    strong8, strong7 = (
        next(one for one in by_severity(found.sets, "awgn") if one.severity == 0.5)
        for found in (eight, seven)
    )
    shares = [100 * one.disagreement.share for one in (eight.clean, seven.clean, strong8, strong7)]
    holds = rho > 0 and shares[0] < shares[1] and shares[2] > shares[3] and max(clip7) < 0.001
    yield row(
        "17 clipping: a8 nearer clean, farther in noise",
        "clipped (at the top) and KL of a8 rise together; a7 clips nothing there",
        f"rho {rho:.2f}; clean {shares[0]:.2f} a8, {shares[1]:.2f} a7; AWGN .5 {shares[2]:.1f}, "
        f"{shares[3]:.1f} %; worst layer at the top {100 * (strong8.clipped_above or 0):.2f} %, "
        f"{100 * (strong7.clipped_above or 0):.3f} % (at both ends "
        f"{100 * (strong8.clipped or 0):.2f} %, {100 * (strong7.clipped or 0):.2f} %)",
        holds,
    )
    brown = by_severity(eight.sets, "brownian")
    shares, kl = [one.disagreement.share for one in brown], [one.kl for one in brown]
    holds = all(float(spearmanr(range(len(v)), v).statistic) > 0.9 for v in (shares, kl))
    told = f"{words([100 * one for one in shares], 2)} %; KL {words(kl, 4)}"
    yield row("18 Brownian", "disagreement and KL rise", told, holds)
    down, across = (
        next(one for one in eight.sets if one.name == f"{kind}:4").accuracy_original or 0.0
        for kind in ("vertical", "horizontal")
    )
    told = f"k = 4: {100 * down:.1f} against {100 * across:.1f} %"
    yield row("19 vertical worse than horizontal", "report: not expected", told, down < across)


def guard(tried: Tried) -> Iterator[Row]:
    alpha = 0.005
    kinds = "gaussian_noise:1,gaussian_blur:5,impulse_noise:5,awgn:0.5"
    found = tried.study(A8, [Guard(alpha)], kinds).results["guard"]
    lab = tried.lab(A8)
    clean = lab.answers(lab.clean)
    margins, apart = clean.margins(True), clean.apart
    held, coverage = 0, []
    for seed in range(HALVINGS):
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(margins)))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        threshold = choose(margins[first], apart[first], alpha)
        if threshold is None:
            held += 1
            continue
        accepted = margins[second] >= threshold
        coverage.append(float(accepted.double().mean()))
        held += float(apart[second][accepted].double().mean()) <= alpha
    exceeding = [one.name for one in found.sets if not one.holds]
    told = f"{held}; coverage {100 * np.mean(coverage):.1f} %; t = {found.threshold}"
    asked = f"alpha {alpha:.1%}: held-out disagreement within it in >= 95 of {HALVINGS}"
    yield row("24 guard", asked, told, held >= 95)
    told = ", ".join(f"{one.name} {100 * one.disagreement:.2f} %" for one in found.sets)
    yield row("24 guard under shift", "some sets exceed it", told, bool(exceeding))


def formats(tried: Tried) -> Iterator[Row]:
    found = tried.study(A8, "formats", "cifar10-c", limit=2000).results["formats"]
    own = {one.name: one.disagreement for one in found.formats}
    steps = [own["weights16"], own["weights8"], own["w8a8"]]
    holds = all(before.low <= after.high for before, after in pairwise(steps))
    told = ", ".join(f"{name} {100 * one.share:.2f}" for name, one in own.items())
    yield row("20 Hu 4, without the confound", "float16 <= weights <= both", f"{told} %", holds)
    for one in found.formats:
        told = f"mean |change| {100 * (one.mean_change or 0):.2f} points, shifted "
        told += f"{100 * (one.shifted_disagreement or 0):.2f} %, more than clean on "
        told += f"{one.more_under_shift} of {len(one.sets) - 1} sets"
        yield row(f"Hu, table 2: {one.name}", "report", told, True)


def strategies(tried: Tried) -> Iterator[Row]:
    digits = digits_of(tried)
    found = digits.study("strategies:epochs=3,random-seeds=5,strategies=qat", "cifar10-c").results[
        "strategies"
    ]
    qat, standard = (
        [one for one in found.strategies if one.strategy == name] for name in ("qat", "standard")
    )
    pairs = [
        (100 * a.disagreement.share, 100 * b.disagreement.share)
        for a, b in zip(qat, standard, strict=True)
    ]
    shifted = [
        (100 * (a.shifted_disagreement or 0), 100 * (b.shifted_disagreement or 0))
        for a, b in zip(qat, standard, strict=True)
    ]
    mean = np.array([*pairs, *shifted]).reshape(2, -1, 2).mean(1)
    holds = mean[1, 0] < mean[1, 1] and mean[0, 0] <= mean[0, 1]
    ships = [found.mean(name, "original_disagreement") or 0.0 for name in ("qat", "standard")]
    yield row(
        "21 Hu 6, 7: quantisation-aware below standard",
        "shadow against deployed, means of five random seeds",
        f"clean {mean[0, 0]:.2f} against {mean[0, 1]:.2f} %, shifted {mean[1, 0]:.2f} against "
        f"{mean[1, 1]:.2f} %; what ships: {100 * ships[0]:.2f} against {100 * ships[1]:.2f} %",
        holds,
    )
    # The digits are learnt so well that there is no overconfidence to lower.
    found = tried.study(A7, "strategies:epochs=2,random-seeds=3,strategies=smoothing").results[
        "strategies"
    ]
    ece = [100 * (found.mean(name, "ece_float") or 0) for name in ("smoothing", "standard")]
    ratios = [
        [one.low_ratio or 0.0 for one in found.strategies if one.strategy == name]
        for name in ("smoothing", "standard")
    ]
    told = f"ECE {ece[0]:.2f} against {ece[1]:.2f} %; ratio at w4 {words(ratios[0])} against "
    told += words(ratios[1])
    yield row("23 Xia's dilemma: smoothing", "lowers ECE; ratio two-sided", told, ece[0] < ece[1])


class digits_of:  # noqa: N801 (reads as a function where it is used)
    """The same on the embedded digits."""

    def __init__(self, tried: Tried) -> None:
        options = argparse.Namespace(**vars(tried.options))
        options.model, options.data, options.weights = "resnet18", "digits", ""
        self._tried = Tried(options)

    def study(self, studies: object, kinds: str) -> StudyReport:
        return self._tried.study(A7, studies, kinds, severities=(3.0,))


def retraining(tried: Tried) -> Iterator[Row]:
    found = tried.study(A7, "retraining:epochs=5", limit=5000).results["retraining"]
    one = found.heldout
    told = (
        f"before {one.before}, after {one.after}: fixed {one.fixed}, stubborn {one.stubborn}, "
        f"new {one.new}"
    )
    yield row("22 Hu 11, held out", "new >= half of fixed", told, one.new >= one.fixed / 2)
    leak = found.published
    told = f"before {leak.before}, after {leak.after}: fixed {leak.fixed}, stubborn "
    told += f"{leak.stubborn} ({100 * leak.stubborn / max(1, leak.before):.0f} %), new {leak.new}"
    yield row("22 Hu 11, as published", "report", told, True)


def ensemble(tried: Tried) -> Iterator[Row]:
    found = tried.study(A8, "ensemble:seeds=50", "fog:5,gaussian_noise:5", limit=2000)
    for one in found.results["ensemble"].models:
        told = f"{100 * one.disagreement.share:.2f} %, shifted "
        told += f"{100 * (one.shifted_disagreement or 0):.2f} %, severe search {one.flipped} of "
        told += f"{one.seeds}, median {one.severity_median or 0:.3f}"
        yield row(f"Hu 6.1: {one.name}", "report", told, True)


def row(finding: str, asked: str, measured: str, holds: bool) -> Row:
    return finding, asked, measured, "yes" if holds else "NO"


def words(values: list[float], digits: int = 3) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


PARTS: dict[str, Callable[[Tried], Iterator[Row]]] = {
    one.__name__: one
    for one in (
        *(anchors, bits, calibration, uncertainty, shifts, noise, guard, formats),
        *(strategies, retraining, ensemble),
    )
}


def main() -> None:
    options = bench.arguments(str(__doc__), parts=",".join(PARTS), out="")
    tried = Tried(options)
    rows: list[Row] = []
    for name in options.parts.split(","):
        for one in PARTS[name](tried):
            rows.append(one)
            print(" | ".join(one), flush=True)
    bench.show("What published studies found", ("finding", "asked", "measured", "holds"), rows)
    print(bench.machine())


if __name__ == "__main__":
    main()
