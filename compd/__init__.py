"""compd: differential fuzzing of compressed neural networks.

It finds, proves and stores inputs on which a compressed network deviates from its original, repairs
the compressed network, and gates CI on new deviations:

    pair = compd.Pair.from_modules(original, int8, shadow=qat, example=images[:1])
    for finding in compd.fuzz(pair, images, eps=4, goal="severe"):
        print(finding)

What can be done with a pair and with images:

    check        is a pair what it is said to be?
    evaluate     accuracies, and where the two models differ on untouched images
    fuzz         search for images on which they part: a campaign of findings
    collect      run a campaign, and store what it finds as it goes
    verify       replay a corpus
    minimise     make the changes in a corpus smaller
    repair       fine-tune the compressed model where it deviates, and measure what is left
    gate         does anything deviate that nobody has accepted?
    study        figures on clean and shifted images, when to trust it, how far bits go
    export       write a model of a pair for another runtime

What these work on:

    Pair         an original, its compressed form, and perhaps a differentiable stand-in for that
    build_pair   a pair by names: train a network, compress it, cache both
    load_data    open a data set by name
    Splits       five disjoint parts of a data set
    Finding      an image on which a pair parts, with both answers
    Corpus       stored findings, in a folder
    Control      is told how far a task is, and ends it
    register     make a strategy, method, compression, runtime, target or shift of yours known
    CompdError   what all of these raise, in one line

help(compd.fuzz) tells more of one of them. They load on first use, so that importing the package
costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd._version import __version__
from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.control import Control
    from compd.corpus import Corpus, collect, minimise, verify
    from compd.data import Splits, load_data
    from compd.errors import CompdError
    from compd.exporting import export
    from compd.gating import gate
    from compd.pair import Pair
    from compd.pair.build import build_pair
    from compd.pair.evaluation import evaluate
    from compd.pair.preflight import check
    from compd.plugins import register
    from compd.repairing import repair
    from compd.search import Finding, fuzz
    from compd.studies import study

__all__ = [
    "CompdError",
    "Control",
    "Corpus",
    "Finding",
    "Pair",
    "Splits",
    "__version__",
    "build_pair",
    "check",
    "collect",
    "evaluate",
    "export",
    "fuzz",
    "gate",
    "load_data",
    "minimise",
    "register",
    "repair",
    "study",
    "verify",
]

_HOMES = {
    "CompdError": "errors",
    "Control": "control",
    "Corpus": "corpus",
    "Finding": "search",
    "Pair": "pair",
    "Splits": "data",
    "build_pair": "pair.build",
    "check": "pair.preflight",
    "collect": "corpus",
    "evaluate": "pair.evaluation",
    "export": "exporting",
    "fuzz": "search",
    "gate": "gating",
    "load_data": "data",
    "minimise": "corpus",
    "register": "plugins",
    "repair": "repairing",
    "study": "studies",
    "verify": "corpus",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
