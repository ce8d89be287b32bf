"""Whether what deviates can be trained: compd made it, or it is a finished model of somebody's."""

from __future__ import annotations

from compd.corpus import Corpus
from compd.errors import InputError
from compd.pair import Pair
from compd.pair.requests import facts_of
from compd.wording import command, setting

__all__ = ["check_corpus", "check_pair"]

_INSTEAD = (
    "which cannot be trained; repair the module that they came from, as a pair that compd "
    f"compresses ({command('compress')}, {command('repair', pair='DIR')}), and export it again "
    f"({command('export')})"
)


def check_corpus(corpus: Corpus, *, force: bool = False) -> None:
    """Raise before anything is opened or trained if a corpus was made with finished models.

    Args:
        corpus: whose entries are to be repaired.
        force: whether its images are wanted for another pair.

    Raises:
        CompdError: if its pair is two files, or two models of a Python process.
    """
    if force:
        return
    for record in corpus:
        made = facts_of(record.pair)
        if made is not None:
            raise InputError(
                f"expected a corpus of a pair that compd compressed, got "
                f"{str(corpus.directory)!r} of {made.get('original')} and {made.get('deployed')}, "
                f"{_INSTEAD}; {setting('force', True)} takes its images for that pair"
            )


def check_pair(pair: Pair) -> None:
    """Raise unless a pair's deployed model is made of a shadow that can be trained.

    Raises:
        CompdError: if it has no shadow, or its deployed model came as it is.
    """
    if not pair.rebuilds:
        raise InputError(
            f"expected a pair whose deployed model compd makes of its shadow, got "
            f"{pair.reference.name} and {pair.deployed.name}, {_INSTEAD}"
        )
    if not pair.has_shadow:
        raise InputError(
            "expected a pair with a shadow to train, got one without; a deployed model alone "
            "cannot be repaired: make a pair of its original with: compd compress"
        )
