"""Messages name settings as Python does, and as the command line does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compd.cli.wording import as_options
from compd.errors import CompdError, SettingError
from compd.wording import Worded, command, setting

NAMES = st.from_regex(r"[a-z]+(_[a-z]+)*", fullmatch=True)
VALUES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@given(NAMES, VALUES)
def test_a_setting_is_an_argument_in_python_and_an_option_on_the_command_line(
    name: str, value: str
) -> None:
    said = Worded(f"pass {setting(name, value)} or {setting(name)}")
    assert str(said) == f"pass {name}={value} or {name}"
    option = f"--{name.replace('_', '-')}"
    words = f"{option} {value}" if value != "True" else option
    assert said.as_options() == f"pass {words} or {option}"


def test_a_flag_has_no_value_on_the_command_line() -> None:
    assert Worded(setting("trust", True)).as_options() == "--trust"
    assert str(Worded(setting("trust", True))) == "trust=True"


def test_all_messages_in_what_is_written_as_json_name_options() -> None:
    error = CompdError(f"give {setting('reduce_range', 5)} or {setting('limit')}")
    assert str(error) == "give reduce_range=5 or limit"
    said = as_options({"warnings": [error.message], "n": 3})
    assert said == {"warnings": ["give --reduce-range 5 or --limit"], "n": 3}


def test_what_a_file_says_cannot_pretend_to_be_a_setting_of_several_lines() -> None:
    error = CompdError(f"got {setting('layout', 'a' + chr(10) + 'b')}")
    assert "\n" not in str(error)
    assert "\n" not in error.message.as_options()


def test_a_setting_error_says_what_came_and_what_to_do() -> None:
    error = SettingError("eps in 1..255", advice="leave it out for no bound", eps=300)
    assert str(error) == "expected eps in 1..255, got eps=300; leave it out for no bound"
    assert error.given == {"eps": 300}


def test_a_command_leaves_out_what_is_not_given() -> None:
    assert command("corpus show", "1f0c", corpus="x", pair=None, data="", reduce_range=7) == (
        "compd corpus show 1f0c --corpus x --reduce-range 7"
    )
