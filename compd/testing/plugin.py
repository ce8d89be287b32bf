"""The pytest plugin: options, and the fixture ``compd_pair``.

It is loaded in every pytest run wherever compd is installed, so nothing here imports torch; the
rest comes in when an option asks for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from compd.pair import Pair
    from compd.testing.replays import PairOption

__all__ = ["compd_pair", "pytest_addoption", "pytest_configure"]

_PAIR: pytest.StashKey[PairOption] = pytest.StashKey()
_ID = re.compile(r"(?:\.\.[/\\])*(compd::.*)")  # of our tests, as pytest prints it


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line, and the same in the configuration file."""
    group = parser.getgroup("compd", "deviations of a compressed network (compd)")
    for name, what in (
        ("corpus", "a corpus, each of whose deviations is a regression test; may be repeated"),
        ("pair", "the pair to test: a folder that `compd compress` wrote, or mod:function"),
        ("baseline", "accepted deviations (default: baseline.txt in the corpus, if it is there)"),
    ):
        group.addoption(f"--compd-{name}", action="append", metavar=name.upper(), help=what)
        if name == "pair":
            parser.addini(f"compd_{name}", what, type="args", default=[])
        else:
            parser.addini(f"compd_{name}", what, type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Take our ids out of the arguments; where a corpus is named, add its tests."""
    config.addinivalue_line("markers", "compd: a stored deviation (see --compd-corpus)")
    wanted = [match[1] for arg in config.args if (match := _ID.fullmatch(arg))]
    others = [arg for arg in config.args if not _ID.fullmatch(arg)]
    corpora = _paths(config, "corpus")
    asked = config.getoption("--compd-corpus") or wanted
    if not asked and others and all(_is_file(config, arg) for arg in others):
        corpora = []  # whoever names files wants these alone, and not what all runs have
    if wanted:
        config.args[:] = others
    if corpora or wanted:
        from compd.testing.regression import Regression

        regression = Regression(
            corpora, _paths(config, "baseline"), _pair_option(config), frozenset(wanted)
        )
        config.pluginmanager.register(regression, "compd-regression")


@pytest.fixture(scope="session")
def compd_pair(pytestconfig: pytest.Config) -> Pair:
    """The pair that ``--compd-pair``, or ``compd_pair`` in the configuration, names."""
    from compd.errors import CompdError

    try:
        return _pair_option(pytestconfig).open()
    except CompdError as error:
        pytest.fail(str(error), pytrace=False)


def _pair_option(config: pytest.Config) -> PairOption:
    """The one for this run: whoever opens it first has loaded it for all."""
    if _PAIR not in config.stash:
        from compd.testing.replays import PairOption

        given = config.getoption("--compd-pair")
        folder = config.invocation_params.dir
        if not given:
            given = config.getini("compd_pair")
            folder = config.inipath.parent if config.inipath else folder
        config.stash[_PAIR] = PairOption(tuple(given or ()), folder)
    return config.stash[_PAIR]


def _is_file(config: pytest.Config, arg: str) -> bool:
    """Whether an argument names a file, or something in one."""
    return (config.invocation_params.dir / arg.split("::")[0]).is_file()


def _paths(config: pytest.Config, name: str) -> list[Path]:
    """What an option names, or else the configuration."""
    given = config.getoption(f"--compd-{name}")
    if given:
        return [config.invocation_params.dir / path for path in given]
    return list(config.getini(f"compd_{name}"))
