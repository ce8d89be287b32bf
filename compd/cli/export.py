"""``compd export``: one model of a pair as an artifact of another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.choices import TARGETS
from compd.cli.options.pair import FILE_OPTIONS, PairOptions
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["export"]


@takes_pair(*FILE_OPTIONS)
def export(
    named: PairOptions,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help=f"{', '.join(TARGETS)}. onnx-qdq, openvino and litert-int8 carry the pair's own "
            "scales; those with ptq, and torchao, are the runtime's own quantiser.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="The file, .onnx, .xml, .tflite, .zip, .pt2 or .safetensors."),
    ],
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            help="original or deployed. Default: deployed if the target can hold it.",
        ),
    ] = None,
    activations: Annotated[
        str | None, typer.Option("--activations", help="onnx-ptq: uint8 or int8. Default: uint8.")
    ] = None,
    reduce_range: Annotated[
        bool | None,
        typer.Option("--reduce-range/--full-range", help="onnx-ptq: 7 bits of weights, or 8."),
    ] = None,
    per_channel: Annotated[
        bool | None,
        typer.Option("--per-channel/--per-tensor", help="onnx-ptq: scales of the weights."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="openvino-ptq: performance or mixed. Default: performance."),
    ] = None,
    json: o.JsonFile = None,
    threads: o.Threads = None,
) -> int:
    """Write one model of a pair as a file of another runtime."""
    from dataclasses import asdict

    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.render.tables import print_facts
    from compd.exporting import check_export_target
    from compd.exporting import export as export_pair

    prepare(threads)
    check_outputs(json=json, out=out)
    check_export_target(to, out)
    with live() as control:
        pair, splits = named.request().open(control)
        done = export_pair(
            pair,
            to,
            out,
            of=of,
            splits=splits,
            control=control,
            activations=activations,
            reduce_range=reduce_range,
            per_channel=per_channel,
            preset=preset,
        )
    if json is not None:
        write_json(json, {**asdict(done), "pair": pair.spec.to_json()})
    print_facts(
        "",
        [
            ("model", f"{done.of} of {pair.spec.label}"),
            *(
                ("file", f"{file} ({done.sizes[file]:,} bytes, SHA-256 {sha256})")
                for file, sha256 in done.sha256.items()
            ),
            ("input", done.input),
            ("output", done.output),
            *([("calibrated on", f"rows {done.rows}")] if done.rows else []),
            *(("note", note) for note in done.notes),
            ("not measured", "whether it answers as the deployed PyTorch model does"),
        ],
    )
    return 0
