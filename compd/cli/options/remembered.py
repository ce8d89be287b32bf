"""A corpus's pair, remembered from one command to the next.

What is written down are the options as one would type them, with whole paths: they are read,
checked and overridden one by one as those of the command line are. :mod:`compd.corpus.local` keeps
them, and gives back only what this user's compd wrote.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from compd.cli.options.layers import DEFAULTS, NAMING, PATHS, LayeredOptions
from compd.cli.options.pair import PairOptions
from compd.errors import CompdError, CompdWarning, InputError, brief
from compd.files.names import anchored_data
from compd.files.programs import names_program

if TYPE_CHECKING:
    from compd.pair.requests import PairRequest

__all__ = ["remembering", "with_memory"]

# How the command line says one compression, where it is said as a whole.
_OF_A_COMPRESSION = (
    "weight_bits",
    "activation_bits",
    "amount",
    "student",
    "student_width",
    "fine_tune_epochs",
    "fine_tune_lr",
)


def with_memory(named: LayeredOptions, directory: Path | None) -> LayeredOptions:
    """The options of a command on a corpus, with what is remembered of its pair.

    The command's own options go first, one by one; one that names another pair leaves nothing of
    the remembered one. A project's options go last: a corpus knows better what it was made with.

    Args:
        named: of the command.
        directory: of the corpus; None for no corpus.

    Raises:
        CompdError: if what is remembered cannot be read.
    """
    from compd.corpus.local import FILE, recall

    content = None if directory is None else recall(directory)
    if directory is None or content is None:
        return named
    try:
        remembered, folder = _options(content), Path(content["folder"])
        started_in = Path(content.get("started_in", folder))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected options of this version of compd in {str(directory / FILE)!r}, got "
            f"{brief(error, 120)}; remove it, and name the pair"
        ) from error
    said = named.said
    if any(name in said for name in NAMING) and not (
        "original" in said and "original" in remembered
    ):
        return named
    implied = frozenset(remembered.keys() - said.keys())
    return LayeredOptions(
        **{**remembered, **said},
        implied=implied,
        folder=folder,
        source=f"the corpus {directory.name!r}",
        started_in=started_in,
    )


@contextmanager
def remembering(
    directory: Path | None,
    named: LayeredOptions,
    request: PairRequest,
    *,
    new: bool = False,
    first: bool = False,
) -> Iterator[None]:
    """Remember a pair for a corpus that is written meanwhile, however that ends.

    Args:
        directory: of the corpus, which need not be there yet; None for no corpus.
        named: the options that name the pair.
        request: what became of them.
        first: whether to write nothing where a pair is remembered already.
        new: whether options that name no pair mean the default one; else the corpus names it.
    """
    from compd.corpus.local import recall

    try:
        yield
    finally:
        if directory is not None and (directory / "metadata.jsonl").is_file():
            names_one = new or named.names_pair
            if names_one and not (first and recall(directory) is not None):
                _remember(directory, named, request)


def _remember(directory: Path, named: LayeredOptions, request: PairRequest) -> None:
    from compd.corpus.local import remember

    content: dict[str, Any] = {
        "folder": str((named.folder or Path()).absolute()),
        "options": _written(named, request),
    }
    if names_program(named.deployed or ""):
        own = named.started_in if "deployed" in named.implied else None
        content["started_in"] = str((own or Path()).absolute())
    try:
        remember(directory, content)
    except (CompdError, OSError) as error:
        warnings.warn(
            f"the pair of {str(directory)!r} is not remembered: {brief(error)}",
            CompdWarning,
            stacklevel=4,
        )


def _written(named: PairOptions, request: PairRequest) -> dict[str, Any]:
    """The options that name a pair anywhere on this machine, as JSON has them."""
    from compd.pair.requests import PairRecipe

    options = {
        name: getattr(named, name)
        for name, default in DEFAULTS.items()
        if getattr(named, name) != default
    }
    if isinstance(request, PairRecipe):  # defaults, and of several compressions this one
        options |= {"model": request.model_name, "data": request.data_name}
        if request.compress is not None:
            options = {k: v for k, v in options.items() if k not in _OF_A_COMPRESSION}
            options["compress"] = _text_of(request.compress)
    for name in PATHS:
        if name in options and not names_program(str(options[name])):
            options[name] = str(Path(options[name]).expanduser().absolute())
    if "data" in options:
        options["data"] = anchored_data(options["data"], Path.cwd())
    return options


def _text_of(compression: Any) -> str:
    """A compression as ``--compress`` takes it: ``ptq:weight_bits=4``."""
    from compd.compress import COMPRESSIONS
    from compd.registry import defaults_of

    settings = COMPRESSIONS.settings_of(compression)
    name, defaults = settings.pop("name"), defaults_of(type(compression))
    changed = [f"{key}={value}" for key, value in settings.items() if value != defaults[key]]
    return f"{name}:{','.join(changed)}" if changed else str(name)


def _options(content: Mapping[str, Any]) -> dict[str, Any]:
    """The options in what was remembered.

    Raises:
        KeyError: if there are none.
        ValueError: if there is no such option, or a value of another type.
    """
    hints = get_type_hints(PairOptions)
    found: dict[str, Any] = {}
    for name, value in dict(content["options"]).items():
        if name not in hints:
            raise ValueError(f"option {name!r}")
        kinds = get_args(hints[name]) or (hints[name],)
        if Path in kinds and isinstance(value, str):
            found[name] = Path(value)
        elif type(value) in kinds or (type(value) is int and float in kinds):
            found[name] = value
        else:
            raise ValueError(f"{name}={value!r:.40}")
    return found
