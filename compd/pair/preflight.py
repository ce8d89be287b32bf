"""Whether two models are what they are said to be, before anything is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from compd.compress import Given
from compd.control import QUIET, Control
from compd.errors import InputError
from compd.pair.advice import Tried, tried
from compd.pair.evaluation import SHADOW_ROWS, Evaluation, evaluate
from compd.pair.images import Images
from compd.pair.pair import Pair
from compd.pair.readings import Reading, better_readings, information, other_order
from compd.pair.warnings import LEAST, few, near_chance, stretched, unused_labels
from compd.runtimes import FileRuntime, Overrides, Runtime
from compd.runtimes.converted import model_of
from compd.system.machine import cpu_flags
from compd.wording import Worded, setting

__all__ = ["FileFacts", "Preflight", "check"]

_WRONG = 0.3  # natural disagreement of a pair that is none
_MANY = 0.1  # of one that is worth a look
_SLACK = 0.01  # by which advice may fall short of what it promises: numbers are printed short


@dataclass(frozen=True)
class FileFacts:
    """One of a pair's models."""

    role: str  # "original" or "deployed"
    name: str
    engine: str
    sha256: str
    input: str  # how it takes images
    census: Mapping[str, Mapping[str, int]]  # type -> operator -> how many
    compressed: tuple[str, ...] | None = None  # what is; None if the runtime does not tell
    batching: str = "any"  # "depends": answers depend on the batch; "one": takes one image a call

    @property
    def int8_share(self) -> float | None:
        """Share of operators that compute in integers, 0..1; None if the runtime does not tell."""
        total = sum(sum(found.values()) for found in self.census.values())
        whole = sum(sum(found.values()) for kind, found in self.census.items() if "int" in kind)
        return whole / total if total else None


@dataclass(frozen=True)
class Preflight:
    """What the check of a pair says: facts, warnings, and faults that make a search pointless."""

    files: tuple[FileFacts, ...]
    images: int
    rows: str
    original_accuracy: float | None  # None if the images are not labelled
    deployed_accuracy: float | None
    natural_disagreement: float
    natural_ties: int  # images of these on which the deployed model's two labels tie
    classes_answered: int  # by the original on these images
    shadow: str  # whose gradients are taken for those of the deployed model
    shadow_images: int  # of these, the first ones, that the shadow was run on
    shadow_disagreement: float | None  # share of labels; None without a shadow
    shadow_error: float | None  # mean absolute difference of logits, in parts of their spread
    faults: tuple[Worded, ...]
    warnings: tuple[Worded, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def raise_if_faulty(self) -> None:
        """Raise the first fault.

        Raises:
            CompdError: if there is one.
        """
        if self.faults:
            raise InputError(self.faults[0])


def check(
    pair: Pair, images: Images, *, allow_float: bool = False, control: Control = QUIET
) -> Preflight:
    """Look at a pair on clean images.

    Args:
        pair: any.
        images: of what it is searched on: a uint8 tensor (N, C, H, W), rows of a data set, a data
            set or its name. The shadow is run on :data:`SHADOW_ROWS` of them.
        allow_float: whether a deployed file without any integer operator is meant.
        control: told of progress, and asked whether to stop.

    Raises:
        Stopped: if it was told to stop.
    """
    seen = evaluate(pair, images, shadow=SHADOW_ROWS, control=control)
    faults, warnings = _judged(pair, seen, allow_float)
    made = pair.spec.compress
    return Preflight(
        files=(_facts("original", pair.reference), _facts("deployed", pair.deployed)),
        images=len(seen),
        rows=seen.split.rows,
        original_accuracy=seen.accuracy(seen.original),
        deployed_accuracy=seen.accuracy(seen.deployed),
        natural_disagreement=seen.natural_disagreement,
        natural_ties=seen.natural_ties,
        classes_answered=len(torch.unique(seen.answers)),
        shadow=made.shadow if isinstance(made, Given) else "own",
        shadow_images=0 if seen.shadow is None else len(seen.shadow),
        shadow_disagreement=seen.shadow_disagreement,
        shadow_error=None if seen.shadow is None else _logit_error(seen.shadow, seen.deployed),
        faults=tuple(map(Worded, faults)),
        warnings=tuple(map(Worded, warnings)),
    )


def _judged(pair: Pair, seen: Evaluation, allow_float: bool) -> tuple[list[str], list[str]]:
    """Faults and warnings; what comes after a fault is left out, since that may explain it."""
    labels = seen.split.labels if seen.split.labelled else None
    apart, enough = seen.natural_disagreement, len(seen) >= LEAST
    renamed = None if labels is None else _renamed(labels, seen.answers)
    faults: list[str] = []
    warnings: list[str] = []
    if isinstance(pair.spec.compress, Given):
        faults += _uncompressed(pair, allow_float)
    for role, runtime in (("original", pair.reference), ("deployed", pair.deployed)):
        if runtime.file is not None:
            faults += _faults_of(pair, seen, role, runtime.file)
    hints = [] if faults else _misread(pair, seen, renamed or 0.0)
    for hint in hints:
        (faults if hint.proved else warnings).append(hint.text)
    explained = any(hint.measured for hint in hints)
    if not faults and enough and len(torch.unique(seen.answers)) == 1 and labels is None:
        warnings.append(_one_answer(seen))
    if not faults and enough and apart >= _WRONG:
        faults += _apart(seen, hints, explained)
    if not faults and enough and len(torch.unique(seen.answers)) == 1 and labels is not None:
        faults.append(_one_answer(seen))
    if not faults and not explained and renamed is not None:
        faults.append(
            f"expected labels in the order of the model's classes, got an accuracy of "
            f"{seen.accuracy(seen.original):.0%}, and {renamed:.0%} with the labels renamed; see "
            f"{setting('labels')}, or the names of the class folders"
        )
    warnings += [*few(pair, seen), *stretched(seen), *unused_labels(pair, seen)]
    if not faults and not explained:
        warnings += near_chance(pair, seen)
    if not faults and apart >= _MANY:
        warnings.append(f"the pair differs on {apart:.1%} of clean images; the search leaves these")
    return faults, warnings + _saturation(pair.deployed)


def _apart(seen: Evaluation, hints: Sequence[_Hint], explained: bool) -> list[str]:
    """What is wrong with two models that differ on far too many images."""
    apart = seen.natural_disagreement
    if not explained:
        share = other_order(seen.answers, seen.deployed.argmax(1))
        if share is not None:
            return [
                f"expected two models with the classes in the same order, got {1 - apart:.0%} of "
                f"{len(seen)} images on which they agree, and {share:.0%} with the classes of the "
                "deployed one renamed; compare how both were exported"
            ]
    if len(torch.unique(seen.answers)) == 1 and seen.split.labelled:
        return [_one_answer(seen)]
    why = [hint.text for hint in hints]
    why = why or ["are they of the same network, and read as they were made for?"]
    return [
        f"expected two models that agree on clean images, got {apart:.0%} of {len(seen)} on which "
        f"they differ; {'; '.join(why)}"
    ]


def _one_answer(seen: Evaluation) -> str:
    """That the original says the same of all images, which are of several classes or not."""
    if seen.split.labelled:
        return (
            f"expected an original that tells images apart, got the same answer to all of "
            f"{len(seen)}; are these images that it knows?"
        )
    return (
        f"the original gives the same answer to all of {len(seen)} images; are these images that "
        "it knows, and read as it was trained on them?"
    )


def _faults_of(pair: Pair, seen: Evaluation, role: str, runtime: FileRuntime) -> list[str]:
    """What is wrong with one file's answers, whatever the other says."""
    name, logits = runtime.path.name, seen.original if role == "original" else seen.deployed
    if not bool(torch.isfinite(logits).all()):
        return [
            f"expected finite answers from the {role} {name!r}, got NaN or infinity; check "
            f"{setting('range')}, {setting('mean')} and {setting('std')}"
        ]
    what, better = _unlike(runtime, logits)
    if not what:
        return []

    def mends(then: Tried) -> bool:
        answers = then.original if role == "original" else then.deployed
        other = then.deployed if role == "original" else then.original
        return bool(torch.isfinite(answers).all()) and _sensible(other) and then.apart < _WRONG

    ways = []
    for output in better:
        advice = tried(
            pair.reference, pair.deployed, role, Overrides(output=output), seen.split.images, mends
        )
        ways += [] if advice is None else [advice.text]
    pass_ = f"; pass {' or '.join(ways)}" if ways else ""
    return [f"expected {what} from the {role} {name!r}, {_COMES[what]}{pass_}"]


_COMES = {
    "logits": "got rows that add up to 1",
    "probabilities": "got rows that do not add up to 1",
    "to be told what comes": "got numbers in 0..1 that do not add up to 1, and no sigmoid at its "
    "end",
}


def _unlike(runtime: FileRuntime, logits: Tensor) -> tuple[str, tuple[str, ...]]:
    """What was expected of a file's answers and did not come, and what they may be instead."""
    form = runtime.format
    if form.output == "probs" and bool(((logits.exp().sum(1) - 1).abs() > 0.1).any()):
        return "probabilities", ("logits",)
    if form.output != "logits" or form.single or _sensible(logits):
        return "", ()
    if bool(((logits.sum(1) - 1).abs() < 0.02).all()):
        return "logits", ("probs",)
    if runtime.said_by("output") is not None or len(logits) < LEAST:
        return "", ()
    return "to be told what comes", ("sigmoid", "logits")


def _sensible(values: Tensor) -> bool:
    """Whether numbers can be logits: not all of them lie in 0..1."""
    return len(values) < 2 or bool((values < 0).any()) or bool((values > 1.02).any())


@dataclass(frozen=True)
class _Hint:
    """Another reading of a file that it does better with."""

    text: str
    measured: bool  # by labels or by the other model
    proved: bool  # so, and against nothing that anybody said


def _misread(pair: Pair, seen: Evaluation, renamed: float) -> list[_Hint]:
    """Whether the files understand the images better when they are read otherwise.

    ``renamed`` is the original's accuracy with labels in another order, which may explain more.
    """
    hints: list[_Hint] = []
    images, labels = seen.split.images, seen.split.labels if seen.split.labelled else None
    if len(images) < LEAST:
        return hints
    reference, deployed = pair.reference.file, pair.deployed.file
    if reference is not None:
        better = better_readings(reference, images, labels=labels, now=seen.original)
        better = [one for one in better if one.after > renamed - 0.05]
        hints += _hint(pair, seen, "original", reference, better)
        if hints and hints[0].proved:  # the deployed one is compared with its answers
            return hints
    if deployed is not None and seen.natural_disagreement >= _MANY:
        better = better_readings(
            deployed,
            images,
            labels=labels,
            answers=seen.answers,
            now=seen.deployed,
            like=None if reference is None else reference.format,
        )
        hints += _hint(pair, seen, "deployed", deployed, better)
    return hints


def _hint(
    pair: Pair, seen: Evaluation, role: str, runtime: FileRuntime, readings: Sequence[Reading]
) -> list[_Hint]:
    """What a user says comes first, then what a file says; a guess against either only warns.

    The best of the readings that can be had by what a user passes; none if none can.
    """

    def mends(then: Tried) -> bool:
        if role == "deployed":
            return 1 - then.apart >= found.after - _SLACK
        worth = {
            "nats": lambda: information(then.original),
            "accuracy": lambda: float(seen.right(then.original).double().mean()),
        }[found.measure]()
        together = then.apart <= max(seen.natural_disagreement, _MANY)
        return together and worth >= found.after - _SLACK

    for found in readings:
        advice = tried(
            pair.reference, pair.deployed, role, found.overrides, seen.split.images, mends
        )
        if advice is not None:
            break
    else:
        return []
    if found.measure == "nats":
        worth = f"its answers tell {found.after:.2f} nats of the images, not {found.before:.2f}"
    else:
        worth = f"{found.measure} {found.after:.1%} instead of {found.before:.1%}"
    other = f" (or {setting('labels')}, if the classes are in another order)"
    other = other if found.measure == "accuracy" else ""
    name, changed = runtime.path.name, runtime.changed_by(found.overrides)
    said = sorted({f"{who}: {field}" for field in changed if (who := runtime.said_by(field))})
    if found.measure != "nats" and not said:
        return [
            _Hint(
                f"expected images as the {role} {name!r} was trained on them, got another reading: "
                f"with {found.name} {worth}; pass {advice.text}{other}",
                measured=True,
                proved=True,
            )
        ]
    against = f" (said by {', '.join(said)})" if said else ""
    return [
        _Hint(
            f"the {role} {name!r} may have been trained on images that are read otherwise{against}"
            f": with {found.name} {worth}; if so, pass {advice.text}{other}",
            measured=found.measure != "nats",
            proved=False,
        )
    ]


def _uncompressed(pair: Pair, allow_float: bool) -> list[str]:
    if pair.deployed.same_as(pair.reference):
        return ["expected two models, got the same one as original and deployed"]
    found = _compressed(pair.deployed)
    if found or found is None:
        return []
    name = pair.deployed.name
    if _compressed(pair.reference):
        return [
            f"expected the float file as the original and the compressed file as the deployed one, "
            f"got {name!r}, which is float, as deployed; are they swapped?"
        ]
    if allow_float:
        return []
    return [
        f"expected a compressed file as deployed, got {name!r}, whose weights and operators are "
        f"all float32; pass {setting('allow_float', True)} if that is meant (pruned, for example)"
    ]


def _compressed(runtime: Runtime) -> tuple[str, ...] | None:
    """What of a model is compressed, by its own words or by the types that it computes in."""
    if runtime.file is None or (runtime.compressed is None and not runtime.census):
        return None
    if runtime.compressed is not None:
        return runtime.compressed
    return tuple(sorted(runtime.census.keys() - {"float32", "float64"}))


def _renamed(labels: Tensor, answers: Tensor) -> float | None:
    """The original's accuracy with the labels renamed, if that is far better."""
    if len(labels) < LEAST:
        return None
    right = float((answers == labels).double().mean())
    return other_order(labels, answers, least=right + _WRONG)


def _saturation(deployed: Runtime) -> list[str]:
    """Whether the sums of an int8 file come out otherwise on other CPUs."""
    if deployed.file is None or deployed.file.path.suffix.lower() != ".onnx":
        return []
    from compd.onnx.saturation import risks

    layers = risks(model_of(deployed.file))
    risky = sum(layer.risky > 0 for layer in layers)
    if not risky:
        return []
    here = "this one has it" if {"avx512_vnni", "avx_vnni"} & {*cpu_flags()} else "as this one"
    return [
        f"sums of {risky} of {len(layers)} dense int8 layers can saturate on x86 CPUs without VNNI "
        f"({here}); compd compare with the same settings and "
        f"{setting('runtimes', 'deployed,saturating')} says what changes"
    ]


def _logit_error(logits: Tensor, deployed: Tensor) -> float:
    deployed = deployed[: len(logits)]
    spread = float(deployed.std(1).mean())
    centred = (logits - logits.mean(1, keepdim=True)) - (deployed - deployed.mean(1, keepdim=True))
    return float(centred.abs().mean()) / max(spread, 1e-9)


def _facts(role: str, runtime: Runtime) -> FileFacts:
    return FileFacts(
        role,
        runtime.name,
        runtime.engine,
        runtime.content_hash,
        runtime.takes,
        runtime.census,
        runtime.compressed,
        str(runtime.batching),
    )
