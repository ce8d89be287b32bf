"""From a pair to files that another runtime opens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compd.compress.explicit import is_quantised
from compd.control import QUIET, Control
from compd.corpus.given import check_given
from compd.data import Splits
from compd.errors import ModelError, unknown
from compd.exporting.artifact import MODELS, Source, Target
from compd.exporting.targets import TARGETS
from compd.files.outputs import check_output, is_standard_output, write_outputs
from compd.files.storage import disk_errors
from compd.pair import Pair
from compd.wording import setting

__all__ = ["Exported", "check_export_target", "export"]


@dataclass(frozen=True)
class Exported:
    """Files that were written, and how to use them."""

    target: str
    of: str  # original or deployed
    sha256: Mapping[str, str]  # path -> SHA-256 (hex); the first is the one to open
    sizes: Mapping[str, int]  # path -> bytes
    input: str
    output: str
    rows: str  # that the target's own quantiser was calibrated on; empty if there was none
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files written; the first is the one to open."""
        return tuple(Path(path) for path in self.sha256)


def export(
    pair: Pair,
    to: str,
    out: Path | str,
    *,
    of: str | None = None,
    splits: Splits | None = None,
    control: Control = QUIET,
    **settings: str | float | None,
) -> Exported:
    """Write one model of a pair as an artifact of another runtime.

    Args:
        pair: not changed.
        to: one of :data:`~compd.exporting.TARGETS`.
        out: the file to write, with the target's suffix; a file of the same kind is replaced.
        of: ``original`` or ``deployed``; None for the deployed model if the target can hold it,
            else the original.
        splits: whose calibration rows set the ranges of targets that quantise by themselves.
        control: told of progress.
        settings: of the target; None is the default. ``onnx-ptq`` has ``activations`` (``uint8`` or
            ``int8``), ``reduce_range`` and ``per_channel``; ``openvino-ptq`` has ``preset``
            (``performance`` or ``mixed``); a plug-in's target has its own.

    Raises:
        CompdError: if the target is unknown, cannot hold the model, lacks its extra or cannot read
            the model's operators, or if the file cannot be written.
    """
    check_given(pair=pair)
    out = Path(out)
    config = TARGETS.make(to, **settings)
    target = TARGETS[to]
    check_export_target(to, out)
    source = Source(pair, _choose(pair, to, target, of), splits)
    control.report(f"exporting to {to}", 0, 1)
    artifact = target.make(source, config)
    files = {
        out if is_standard_output(out) else out.with_suffix(suffix): data
        for suffix, data in artifact.files.items()
    }
    write_outputs(dict(reversed(files.items())))  # the one to open appears last
    control.report(f"exporting to {to}", 1, 1)
    return Exported(
        target=to,
        of=source.of,
        sha256={str(path): hashlib.sha256(data).hexdigest() for path, data in files.items()},
        sizes={str(path): len(data) for path, data in files.items()},
        input=artifact.input,
        output=artifact.output,
        rows=splits.calibration.rows if target.calibrates and splits is not None else "",
        notes=artifact.notes,
    )


def check_export_target(to: str, out: Path) -> None:
    """Raise before the work starts if its result could not be written there.

    Raises:
        CompdError: if the target is unknown, the suffix is another one's, the path is a folder, or
            a file of another kind is there already.
    """
    if to not in TARGETS:
        raise unknown("target", to, TARGETS)
    suffix, beside = TARGETS[to].suffix, TARGETS[to].beside
    if is_standard_output(out) and not beside:
        return
    if out.suffix != suffix:
        two = " (which comes with a second file)" if is_standard_output(out) else ""
        raise ModelError(f"expected a {suffix} file for target={to!r}{two}, got out={str(out)!r}")
    for path in [out, out.with_suffix(beside)] if beside else [out]:
        check_output(path, "out", new_folder=True)
        with disk_errors(path):
            # a pipe or a device is written to, and not looked into
            if path.is_file() and not (out.exists() and _is_a(path.suffix, path)):
                raise ModelError(
                    f"expected a new file or a {suffix} file to replace, got out={str(out)!r}, "
                    f"where {path.name!r} holds something else; name another one"
                )


def _choose(pair: Pair, to: str, target: Target, of: str | None) -> str:
    """Which model to write."""
    if of is not None and of not in MODELS:
        raise unknown("of", of, MODELS)
    kind = "none"  # of a deployed model that is no module here, whatever its shadow is
    if pair.rebuilds and pair.has_shadow:
        kind = "int8" if is_quantised(pair.shadow) else "float"
    if of is None:
        of = "deployed" if kind in target.takes or "float" not in target.takes else "original"
    if of == "original" and "float" in target.takes:
        return of
    if of == "deployed" and kind in target.takes:
        return of
    others = ", ".join(name for name, t in TARGETS.items() if _kind(of, kind) in t.takes)
    if of == "deployed" and kind == "none":
        raise ModelError(
            f"expected a pair that was compressed here for target={to!r}, got the deployed model "
            f"{pair.deployed.name!r}, which is an artifact already; write the original with "
            f"{setting('of', 'original')}"
        )
    raise ModelError(
        f"expected {' or '.join(target.takes)} for target={to!r}, got of={of!r}, which is "
        f"{_kind(of, kind)}; that goes to {others}"
    )


def _kind(of: str, deployed: str) -> str:
    return "float" if of == "original" else deployed


def _is_a(suffix: str, path: Path) -> bool:
    """Whether a file is of the kind that its suffix says, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(512)
    return {
        ".bin": True,  # numbers alone; its .xml says what they are
        ".zip": head[:2] == b"PK",
        ".pt2": head[:2] == b"PK",
        ".onnx": head[:1] == b"\x08",  # the first field of a ModelProto: its IR version
        ".xml": b"<net " in head,
        ".tflite": head[4:8] == b"TFL3",
        ".safetensors": head[8:9] == b"{",
    }.get(suffix, True)  # of a plug-in's kind, which is its own care
