"""Whether two models are what they are said to be, before anything is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from compd.compress import Given
from compd.compress.clipping import Clipped, clipped_shares
from compd.control import QUIET, Control
from compd.errors import InputError
from compd.pair.evaluation import SHADOW_ROWS, Evaluation, evaluate
from compd.pair.flips import Flips
from compd.pair.images import Images
from compd.pair.misread import MANY, WRONG, Hint, misread, output_faults
from compd.pair.pair import Pair
from compd.pair.readings import other_order
from compd.pair.warnings import LEAST, few, losing, near_chance, stretched, unused_labels
from compd.runtimes import Runtime
from compd.runtimes.converted import model_of
from compd.system.machine import cpu_flags
from compd.text import shortened
from compd.wording import Worded, setting

__all__ = ["FileFacts", "Preflight", "check", "the_same_twice"]


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
    flips: Flips | None  # which model is right; None if the images are not labelled
    classes_answered: int  # by the original on these images
    shadow: str  # whose gradients are taken for those of the deployed model
    shadow_images: int  # of these, the first ones, that the shadow was run on
    shadow_disagreement: float | None  # share of labels; None without a shadow
    shadow_error: float | None  # mean absolute difference of logits, in parts of their spread
    # Of the shadow's activations on the first images, at the layer with most, that int8 kernels cut
    # off, 0..1; None unless compd made the deployed model of an int8 shadow.
    clipped: float | None
    clipped_layer: str | None
    faults: tuple[Worded, ...]
    warnings: tuple[Worded, ...]

    def __repr__(self) -> str:
        counts = f"{len(self.faults)} faults, {len(self.warnings)} warnings"
        said = "".join(f"; {text}" for text in (*self.faults, *self.warnings)[:1])
        return shortened(f"Preflight({self.images} images: {counts}{said})")

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "flips": None if self.flips is None else self.flips.to_json()}

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
        images: of what it is searched on: uint8 (N, C, H, W), rows of a data set, a data set or its
            name. The shadow is run on :data:`SHADOW_ROWS` of them.
        allow_float: whether a deployed file without any integer operator is meant.
        control: told of progress, and asked whether to stop.

    Raises:
        Stopped: if it was told to stop.
    """
    seen = evaluate(pair, images, shadow=SHADOW_ROWS, control=control)
    faults, warnings = _judged(pair, seen, allow_float)
    made = pair.spec.compress
    worst = _clipped(pair, seen, control)
    return Preflight(
        files=(_facts("original", pair.reference), _facts("deployed", pair.deployed)),
        images=len(seen),
        rows=seen.split.rows,
        original_accuracy=seen.accuracy(seen.original),
        deployed_accuracy=seen.accuracy(seen.deployed),
        natural_disagreement=seen.natural_disagreement,
        natural_ties=seen.natural_ties,
        flips=seen.flips,
        classes_answered=len(torch.unique(seen.answers)),
        shadow=made.shadow if isinstance(made, Given) else "own",
        shadow_images=0 if seen.shadow is None else len(seen.shadow),
        shadow_disagreement=seen.shadow_disagreement,
        shadow_error=None if seen.shadow is None else _logit_error(seen.shadow, seen.deployed),
        clipped=None if worst is None else worst.share,
        clipped_layer=None if worst is None else worst.layer,
        faults=tuple(map(Worded, faults)),
        warnings=tuple(map(Worded, warnings)),
    )


def _clipped(pair: Pair, seen: Evaluation, control: Control) -> Clipped | None:
    """The quantiser of the pair's own shadow that cuts off most."""
    if not pair.rebuilds or not pair.has_shadow:
        return None
    with control.clock.running():
        found = clipped_shares(
            pair.shadow,
            seen.split.images[:SHADOW_ROWS],
            simulated=pair.deployed.engine.startswith("simulated"),
        )
    return found[0] if found else None


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
            faults += output_faults(pair, seen, role, runtime.file)
    hints = [] if faults else misread(pair, seen, renamed or 0.0)
    for hint in hints:
        (faults if hint.proved else warnings).append(hint.text)
    explained = any(hint.measured for hint in hints)
    if not faults and enough and len(torch.unique(seen.answers)) == 1 and labels is None:
        warnings.append(_one_answer(seen))
    if not faults and enough and apart >= WRONG:
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
        warnings += [*near_chance(pair, seen), *losing(pair, seen)]
    if not faults and apart >= MANY:
        warnings.append(f"the pair differs on {apart:.1%} of clean images; the search leaves these")
    return faults, warnings + _saturation(pair.deployed)


def _apart(seen: Evaluation, hints: Sequence[Hint], explained: bool) -> list[str]:
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


def the_same_twice(pair: Pair) -> str:
    """What is wrong with a pair that somebody gave with one model for both; empty if nothing is."""
    if not isinstance(pair.spec.compress, Given) or not pair.deployed.same_as(pair.reference):
        return ""
    return (
        "expected two models, got the same one as original and deployed; give the compressed one "
        "as deployed"
    )


def _uncompressed(pair: Pair, allow_float: bool) -> list[str]:
    if same := the_same_twice(pair):
        return [same]
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
    return other_order(labels, answers, least=right + WRONG)


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
