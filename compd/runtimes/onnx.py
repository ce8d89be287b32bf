"""ONNX files in ONNX Runtime, on the CPU."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import torch
from numpy.typing import NDArray

from compd.errors import ModelError, SettingError, brief, require_extra
from compd.models.census import counted
from compd.onnx import describe, read_onnx
from compd.onnx.census import operators_by_type
from compd.onnx.compressed import compressed_parts
from compd.onnx.ends import Grid, ends_of
from compd.onnx.external import all_tensors
from compd.runtimes.base import Census
from compd.runtimes.batching import Batching
from compd.runtimes.formats import Overrides, QParams, format_of
from compd.runtimes.metadata import class_names_of, overrides_of
from compd.runtimes.openers import Opened, sha256_of, with_classes
from compd.runtimes.outputs import choose_output
from compd.sizes import Size
from compd.system.memory import memory_is_kept
from compd.wording import setting

__all__ = ["open_model"]

_FATAL_ONLY = 4


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open an ONNX file."""
    ort = require_extra("onnxruntime", "onnx")
    model = read_onnx(path)  # what a stranger's file can do wrong is found here
    what = describe(model)
    outputs = [[output.name] for output in what.outputs]
    scores = what.outputs[choose_output(outputs, overrides.output_name, path.name)]
    said = overrides_of(what.metadata, path.name)
    overrides = overrides.over(said)
    provider = _provider(overrides.engine)
    session = _session(path, _options(optimise), provider)
    name, output = what.input.name, scores.name
    ends = ends_of(model, name, output)

    def call(x: NDArray[Any]) -> NDArray[Any]:
        answer: NDArray[Any] = session.run([output], {name: x})[0]
        return answer

    form = format_of(
        what.input.shape,
        what.input.element,
        overrides,
        size=size,
        name=path.name,
        output=ends.kind,
        qparams=_qparams(ends.input) if "int" in what.input.element else None,
        output_qparams=_qparams(ends.output) if "int" in scores.element else None,
    )
    return Opened(
        engine=f"onnxruntime-{provider.removesuffix('ExecutionProvider').lower()}",
        format=with_classes(form, call, path.name),
        call=call,
        content_hash=sha256_of(path, *_external(path)),
        facts={"onnxruntime": ort.__version__, "opset": what.opset, "producer": what.producer},
        class_names=class_names_of(what.metadata),
        said=said,
        census=cache(lambda: _census(path, optimise)),
        compressed=compressed_parts(model),
        batching=Batching.DEPENDS if form.batch != 1 and ends.dynamic else None,
    )


def _options(optimise: bool) -> Any:
    ort = require_extra("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that wait spin for so long, and then sleep: no slower on cores of their own, and they
    # do not take the time of the thread that they wait for where others want the cores, too.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "10")
    options.log_severity_level = _FATAL_ONLY
    # Where freed memory is kept, all sessions share it; else each keeps what it had once.
    options.enable_cpu_mem_arena = not memory_is_kept()
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _provider(engine: str | None) -> str:
    """The execution provider of an engine's name, in short or whole.

    Raises:
        SettingError: if ONNX Runtime was built without.
    """
    ort = require_extra("onnxruntime", "onnx")
    there = ort.get_available_providers()
    short = {name.removesuffix("ExecutionProvider").lower(): name for name in there}
    wanted = short.get((engine or "cpu").lower(), engine or "")
    if wanted not in there:
        raise SettingError(
            f"expected an execution provider that this ONNX Runtime has ({', '.join(short)}), got "
            f"{setting('engine', engine)}; another build has others: onnxruntime-gpu, -openvino"
        )
    return str(wanted)


def _session(path: Path, options: Any, provider: str = "CPUExecutionProvider") -> Any:
    ort = require_extra("onnxruntime", "onnx")
    providers = list(dict.fromkeys([provider, "CPUExecutionProvider"]))
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # of classes that ONNX Runtime does not export
        raise ModelError(
            f"expected an ONNX file that ONNX Runtime {ort.__version__} can run, got "
            f"{str(path)!r} ({brief(error)})"
        ) from error


def _census(path: Path, optimise: bool) -> Census:
    """Count the graph that the runtime makes of a file: operators fused, types as they are run.

    The runtime writes it for a second session, which is as good as the one that answers; the
    weights go to a file beside it, so that only the graph is read.
    """
    options = _options(optimise)
    try:
        with TemporaryDirectory(prefix="compd-") as folder:
            graph = Path(folder) / "graph.onnx"
            options.optimized_model_filepath = str(graph)
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", "weights.bin"
            )
            _session(path, options)
            made = require_extra("onnx", "onnx").load(graph, load_external_data=False)
    except (OSError, ModelError) as error:  # it has run before
        raise ModelError(
            f"expected to write the graph that ONNX Runtime makes of {path.name!r} to "
            f"{gettempdir()!r}, got {brief(error)}; set TMPDIR to a folder with room"
        ) from error
    return counted(operators_by_type(made))


def _qparams(grid: Grid | None) -> QParams | None:
    return None if grid is None else QParams(*grid)


def _external(path: Path) -> list[Path]:
    """Files beside an ONNX file that hold its weights; :func:`read_onnx` has looked at them."""
    onnx = require_extra("onnx", "onnx")
    model = onnx.load(path, load_external_data=False)
    names = {
        entry.value
        for tensor in all_tensors(model)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / name for name in sorted(names)]
