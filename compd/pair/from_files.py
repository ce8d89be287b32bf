"""A pair of two files that somebody else's toolchain made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from compd.compress import Given
from compd.control import QUIET, Control
from compd.data import Resize, Splits, load_data, named_for
from compd.errors import CompdError, InputError, SettingError
from compd.files.programs import Program
from compd.logits import divergence
from compd.models.inputs import predict
from compd.pair.advice import shared_by
from compd.pair.answers import AnswerCache
from compd.pair.pair import Pair, own_copy
from compd.pair.spec import ModelSpec, PairSpec
from compd.runtimes import FileRuntime, FloatRuntime, Overrides, Runtime, open_file
from compd.runtimes.converted import ConvertedFile, converted_file, quantised_here
from compd.sizes import AnySize, Size
from compd.system.devices import choose_device
from compd.wording import Worded, setting

__all__ = ["deployed_as", "pair_of_files", "splits_for"]

_LOOK = 64  # images by which a shadow is compared with its file
_EXACT = 32  # the same for the original: its conversion computes the same
_FOLLOWS = 0.05  # share of images on which a converted file may answer otherwise at most


def pair_of_files(
    original: Path | str,
    deployed: Path | Program | str,
    *,
    data: str,
    labels: Path | None = None,
    labels_offset: int | None = None,
    overrides: Overrides | None = None,
    deployed_overrides: Overrides | None = None,
    size: AnySize | None = None,
    resize: Resize | None = None,
    device: str = "auto",
    control: Control = QUIET,
) -> tuple[Pair, Splits]:
    """Open two files, and find gradients for them.

    The original's come from its conversion to torch; the deployed model's from its own conversion,
    else from the original, quantised here, else from the original itself; whatever there is none of
    leaves a search without gradients.

    Args:
        original: the float model: .onnx; others can be run, but not differentiated.
        deployed: what ships: .onnx, .tflite, .xml, .pt2, .ts or .pt (TorchScript), or .jsonl of
            recorded outputs; or a program, as :func:`compd.runtimes.open_file` takes it.
        data: images, as :func:`compd.data.load_data` takes them; labels are not needed.
        labels: a text file with one class name a line; None: the data's, or numbers.
        labels_offset: which of the model's classes is the data's first one; None: names decide.
        overrides: what the files do not say of their inputs and outputs.
        deployed_overrides: the same for the deployed file alone, before ``overrides``.
        size: height and width where the files leave them open.
        resize: how images of another aspect ratio are scaled; None stretches them.
        device: where gradients are computed.
        control: told of progress.

    Returns:
        The pair, whose notes say where its gradients come from, and the images to search on.

    Raises:
        CompdError: if a file cannot be run, or both do not take the same images.
    """
    where, overrides = choose_device(device), overrides or Overrides()
    control.report("opening files", 0, 3)
    reference = open_file(original, overrides, size=size)
    form = reference.format
    if size is not None and form.size != Size.of(size):
        raise SettingError(
            f"expected {setting('size', form.size)}, as {reference.path.name!r} takes images, got "
            f"{setting('size', Size.of(size))}; leave it out"
        )
    own = deployed_overrides or Overrides()
    shipped = open_file(deployed, own.over(overrides), size=form.size)
    _check_alike(reference, shipped)
    notes = []
    if shipped.format.of_levels != form.of_levels:  # what is said of floats is not said of levels
        files = {"original": reference, "deployed": shipped}
        role = "original" if form.of_levels else "deployed"
        file, mine = files[role], own if role == "deployed" else Overrides()
        held = mine.over(shared_by(file, overrides))
        if held != file.overrides:
            files[role] = open_file(file.source, held, size=form.size)
            notes.append(
                f"{file.path.name!r} takes the levels of pixels: range, mean and std are not its"
            )
        reference, shipped = files["original"], files["deployed"]
    reference.own, shipped.own = Overrides(), own
    control.report("opening files", 1, 3)
    splits = splits_for(reference, data, labels=labels, labels_offset=labels_offset, resize=resize)
    dataset = splits.dataset
    control.report("opening files", 2, 3)
    answers = AnswerCache()
    found = _gradients(reference, shipped, splits, answers, where)
    spec = PairSpec(
        ModelSpec(reference.path.name, None, form.channels, form.size, dataset.classes, None, None),
        Given(reference.path.name, shipped.path.name, found.kind),
        shipped.engine,
        data,
        dataset.identity,
        {"shadow": splits.calibration.rows},
        dataset.resize,
    )
    pair = Pair(
        spec,
        found.model,
        found.shadow,
        device=where,
        deployed=shipped,
        reference=reference,
        notes=tuple(map(Worded, (*notes, *found.notes))),
    )
    if found.run is not None:
        answers.share(found.run, pair.shadow_runtime)
    pair.answers = answers
    control.report("opening files", 3, 3)
    return pair, splits


def splits_for(
    reference: FileRuntime,
    data: str,
    *,
    labels: Path | None = None,
    labels_offset: int | None = None,
    resize: Resize | None = None,
) -> Splits:
    """The images of a pair of files, which its original alone decides.

    Args:
        reference: the original.
        data: images, as :func:`compd.data.load_data` takes them; labels are not needed.
        labels: a text file with one class name a line; None: the data's, or numbers.
        labels_offset: which of the model's classes is the data's first one; None: names decide.
        resize: how images of another aspect ratio are scaled; None stretches them.
    """
    form = reference.format
    dataset = named_for(
        load_data(data, channels=form.channels, size=form.size, resize=resize, unlabelled=True),
        form.classes,
        labels,
        names=reference.class_names,
        offset=labels_offset,
    )
    return Splits(dataset, trains=False)


def deployed_as(pair: Pair, file: Path | Program | str, overrides: Overrides | None = None) -> Pair:
    """The pair with a file or a program as its deployed model: exported, or recorded elsewhere.

    Raises:
        CompdError: if the file cannot be run, or takes other images than the pair.
    """
    model = pair.spec.model
    shipped = open_file(file, overrides, size=model.size)
    form = shipped.format
    taken = (form.channels, *form.size)
    if form.size and taken != model.shape:
        raise InputError(
            f"expected a file that takes images {_by(model.shape)} as this pair, got {_by(taken)} "
            f"for {shipped.path.name!r}"
        )
    if form.classes != len(model.classes):
        raise InputError(
            f"expected a file with the pair's {len(model.classes)} classes, got {form.classes} for "
            f"{shipped.path.name!r}"
        )
    return pair.with_deployed(shipped)


def _check_alike(reference: FileRuntime, shipped: FileRuntime) -> None:
    one, other = reference.format, shipped.format
    shapes = [(form.channels, *form.size) for form in (one, other)]
    if other.size and shapes[0] != shapes[1]:
        raise InputError(
            f"expected two files that take the same images, got {_by(shapes[0])} for "
            f"{reference.path.name!r} and {_by(shapes[1])} for {shipped.path.name!r}"
        )
    if one.classes != other.classes:
        raise InputError(
            f"expected two files with the same classes, got {one.classes} for "
            f"{reference.path.name!r} and {other.classes} for {shipped.path.name!r}"
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


@dataclass(frozen=True)
class _Gradients:
    """Where a pair's gradients come from."""

    model: ConvertedFile | None
    shadow: ConvertedFile | None
    kind: str  # what the shadow is: see Given
    notes: tuple[str, ...] = ()
    run: FloatRuntime | None = None  # the shadow, as its answers were compared with the file's


def _gradients(
    reference: FileRuntime,
    shipped: FileRuntime,
    splits: Splits,
    answers: AnswerCache,
    device: torch.device,
) -> _Gradients:
    """The original and the shadow as modules, what the shadow is, and why."""
    notes: list[str] = []
    with ThreadPoolExecutor(1) as pool:  # beside what follows: decoding images, and the comparisons
        conversions = [pool.submit(converted_file, file) for file in (reference, shipped)]
        images = splits.seeds.images[:_LOOK]
        try:
            model = conversions[0].result()
            _check_follows(model, reference, images[:_EXACT], answers, device, keep=False)
        except CompdError as error:
            note = f"no gradients: {error.message.raw}; blackbox searches without"
            return _Gradients(None, None, "none", (note,))
        try:
            shadow = conversions[1].result()
            run = _check_follows(shadow, shipped, images, answers, device, keep=True)
            return _Gradients(model, shadow, "converted", (), run)
        except CompdError as error:
            notes.append(f"no gradient of the deployed file: {error.message.raw}")
    images = splits.calibration.images
    said = _answers(shipped, images[:_LOOK], answers)
    if said is None:  # recorded outputs, which know only their own images
        return _Gradients(model, None, "none", (*notes, "it can be replayed, and not searched"))
    found = [
        (float(divergence(predict(_running(one, device).run, images[:_LOOK]), said)), kind, one)
        for kind, one in _substitutes(model, images)
    ]
    apart, kind, shadow = min(found, key=lambda one: one[0])
    text = {"quantised": "the original, quantised here,", "original": "the original itself"}[kind]
    notes.append(f"{text} is its shadow (KL {apart:.4f} nats from the deployed file)")
    return _Gradients(model, shadow, kind, tuple(notes))


def _substitutes(model: ConvertedFile, images: Tensor) -> Iterator[tuple[str, ConvertedFile]]:
    """What may be the shadow of a deployed file that cannot be converted."""
    yield "original", model
    yield "quantised", quantised_here(model, images)


def _running(module: nn.Module, device: torch.device) -> FloatRuntime:
    """A module as a pair will run it."""
    return FloatRuntime(own_copy(module, device), device)


def _answers(runtime: Runtime, images: Tensor, answers: AnswerCache) -> Tensor | None:
    try:
        return answers.of(runtime, images)
    except CompdError:
        return None


def _check_follows(
    module: nn.Module,
    runtime: FileRuntime,
    images: Tensor,
    answers: AnswerCache,
    device: torch.device,
    *,
    keep: bool,
) -> FloatRuntime:
    """Raise unless a converted file answers as the file does; return what answered.

    ``keep``: whether its answers will be asked for again.
    """
    there = _answers(runtime, images, answers)
    if there is None:
        raise InputError(f"{runtime.path.name!r} does not answer new images")
    run = _running(module, device)
    here = (answers if keep else AnswerCache()).of(run, images)
    apart = float((here.argmax(1) != there.argmax(1)).double().mean())
    if not apart <= _FOLLOWS:
        raise InputError(
            f"the conversion of {runtime.path.name!r} to torch answers otherwise on {apart:.0%} of "
            "clean images"
        )
    return run
