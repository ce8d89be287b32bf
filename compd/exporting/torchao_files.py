"""torchao (.pt2): the float model through ``pt2e``, PyTorch's own successor to FX quantisation.

The file is the converted graph with its quantise and dequantise operators, as ``torch.export.save``
writes it; the runtime that opens it puts int8 kernels in their place. Those are made for one batch
size, and so is the graph.
"""

from __future__ import annotations

import io
import json

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse

from compd.compress.graph import unshare_
from compd.errors import CompdError, ModelError, require_extra
from compd.exporting.artifact import Artifact, Plain, Source, one_line
from compd.models.factory import trace
from compd.system.quiet import quiet

__all__ = ["torchao"]

_BATCH = 32


def torchao(source: Source, config: Plain) -> Artifact:
    """Int8 with the settings that torchao has for x86, ranges from all calibration rows."""
    del config
    name = source.pair.spec.model.model
    with quiet():
        version = require_extra("torchao", "torchao").__version__
        # BatchNorm goes first: torchao spends 20 s on finding it in a ResNet-18
        folded = fuse(unshare_(trace(source.module, name)))
        try:
            content = _saved(_quantised(folded, source), source)
        except CompdError:
            raise
        except Exception as error:
            raise ModelError(
                f"expected a model that torchao {version} can quantise, got {name!r} with "
                f"{one_line(error)}"
            ) from error
    return Artifact(
        {".pt2": content},
        source.input(str(_BATCH)),
        f"logits: float32 ({_BATCH}, K)",
        (f"quantised by torchao {version}: X86InductorQuantizer",),
    )


def _quantised(module: nn.Module, source: Source) -> fx.GraphModule:
    """The calibrated graph with quantise and dequantise operators, for any number of images."""
    pt2e = require_extra("torchao.quantization.pt2e.quantize_pt2e", "torchao")
    x86 = require_extra("torchao.quantization.pt2e.quantizer.x86_inductor_quantizer", "torchao")
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    any_number = ({0: torch.export.Dim("N")},)
    # strict: the quantiser knows layers by what the compiler's front end notes of their sources;
    # with PyTorch before 2.13 it passes over all that are exported without
    program = torch.export.export(
        module, (torch.zeros(2, *source.shape),), dynamic_shapes=any_number, strict=True
    )
    prepared = pt2e.prepare_pt2e(program.module(), quantizer)
    with torch.no_grad():
        for part in source.calibration.split(_BATCH):  # type: ignore[no-untyped-call]
            prepared(part)
    converted: fx.GraphModule = pt2e.convert_pt2e(prepared)
    if not any("dequantize" in str(node.target) for node in converted.graph.nodes):
        raise ModelError(
            "expected layers that torchao quantises, got none in "
            f"{source.pair.spec.model.model!r}; such a file would hold the float model"
        )
    return converted


def _saved(converted: fx.GraphModule, source: Source) -> bytes:
    """A file of integers and of the graph; no float weights, no images, no folders of ours."""
    used = {node.target for node in converted.graph.nodes if node.op == "get_attr"}
    for name, _ in list(converted.named_parameters()):
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(converted.get_submodule(owner), leaf)
    program = torch.export.export(converted, (torch.zeros(_BATCH, *source.shape),))
    program.example_inputs = None
    for node in program.graph.nodes:  # stack traces and the like
        node.meta = {"val": node.meta["val"]} if "val" in node.meta else {}
    content, extra = io.BytesIO(), {"compd.json": json.dumps(source.about)}
    torch.export.save(program, content, extra_files=extra)
    return content.getvalue()
