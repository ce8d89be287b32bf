"""Height and width: as they are said, as files have them."""

import json
from typing import Any

import pytest

from compd.sizes import Size


@pytest.mark.parametrize("said", [224, "224", "224x224", (224, 224), [224, 224], Size(224, 224)])
def test_a_square_is_one_number(said: Any) -> None:
    size = Size.of(said)
    assert (size, str(size), size.to_json()) == ((224, 224), "224", 224)


@pytest.mark.parametrize("said", ["96x192", "96×192", (96, 192), Size(96, 192)])
def test_height_comes_first(said: Any) -> None:
    size = Size.of(said)
    assert (size.height, size.width) == (96, 192)
    assert (str(size), size.sides, json.dumps(size.to_json())) == ("96x192", "96x192", "[96, 192]")
    assert Size.of(str(size)) == size


@pytest.mark.parametrize("said", ["", "x", "96x", "1x2x3", "-1", "1.5", (1,), (1, 2, 3), 1.5, True])
def test_what_is_no_size(said: Any, refuses: Any) -> None:
    with refuses("224 or 96x192 (height x width)"):
        Size.of(said)


def test_an_unknown_size() -> None:
    assert not Size(0, 0)
    assert Size(1, 1)
