"""A program in the deployed model's place: what it answers, how it fails, and that it ends."""

import gc
import json
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CLASSES, tiny_pair, tiny_splits
from tiny_files import onnx_files, photos
from tiny_programs import example, pids_of, program

from compd.errors import CompdError, CompdWarning
from compd.pair.from_files import deployed_as, pair_of_files
from compd.pair.runtimes import runtimes_of
from compd.runtimes import FileRuntime, Overrides, open_file
from compd.runtimes.batching import Batching
from compd.runtimes.bridge import process
from compd.search import fuzz
from compd.search.strategies import STRATEGIES

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and groups of POSIX")
linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits by what Linux has")
Refuses = Callable[..., Any]

IMAGES = torch.randint(
    0, 256, (10, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)
MEANS = IMAGES.float().mean((2, 3))
SOON = Overrides(deadline=0.3, start_deadline=5)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def ends(pid: int) -> bool:
    """Whether a process that is no child of ours ends within seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def frames(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "frames").read_text().split()]


# --- what it answers


@pytest.mark.usefixtures("one_thread")
def test_a_litert_file_and_the_example_that_runs_it_answer_alike() -> None:
    file = Path(__file__).parents[1] / "assets" / "float.tflite"
    runtime = open_file(example(file))
    assert runtime.batching is Batching.ONE
    images = tiny_splits().seeds.images[:5, :, :8, :8].contiguous()
    assert torch.equal(runtime.run(images), open_file(file).run(images))


@pytest.mark.usefixtures("one_thread")
def test_it_answers_as_the_file_that_it_runs() -> None:
    file = onnx_files()[1]
    runtime, direct = open_file(example(file)), open_file(file)
    images = tiny_splits().seeds.images
    assert torch.equal(runtime.run(images), direct.run(images))
    assert torch.equal(runtime.run(images[:1]), direct.run(images[:1]))
    assert runtime.run(images[:0]).shape == (0, len(CLASSES))
    assert runtime.engine == "bridge-an example"
    assert runtime.name.startswith("cmd: python")
    assert runtime.facts["device"] == "an example"
    assert json.loads(runtime.facts["handshake"])["classes"] == len(CLASSES)
    assert str(file.parent) not in json.dumps(dict(runtime.facts))  # records carry no paths
    assert runtime.compressed is None
    assert runtime.plain() is None


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 10), (4, [4, 4, 2]), (64, [10])])
def test_a_frame_has_no_more_images_than_the_program_takes(
    tmp_path: Path, batch: int, sizes: list[int]
) -> None:
    runtime = open_file(program(tmp_path, f"say(batch={batch})\nwhile True: answer(*take())"))
    before = len(frames(tmp_path))
    torch.testing.assert_close(runtime.run(IMAGES), MEANS)
    assert frames(tmp_path)[before:] == sizes
    assert runtime.batching is (Batching.ONE if batch == 1 else Batching.ANY)


def test_layout_and_kind_of_output_are_said_by_the_program_and_first_by_the_user(
    tmp_path: Path,
) -> None:
    text = "say(input=[4, 4, 3], output='probs', names=['a', 'b', 'c'], firmware='1.2')\n"
    text += "while True:\n  n, c, p = take()\n"
    text += "  answer(n, c, bytes(p[i + k] for i in range(0, len(p), 48) for k in (0, 1, 2) "
    text += "for _ in range(16)))"  # the first pixel's channels
    command = program(tmp_path, text)
    runtime = open_file(command)
    assert runtime.format.layout == "NHWC"
    assert runtime.said_by("output") == "the file"
    assert runtime.class_names == ("a", "b", "c")
    assert runtime.facts["firmware"] == "1.2"
    torch.testing.assert_close(runtime.run(IMAGES).exp(), IMAGES[:, :, 0, 0].float().clamp(1e-12))
    turned = open_file(command, Overrides(output="logits", bgr=True))
    torch.testing.assert_close(turned.run(IMAGES), IMAGES[:, [2, 1, 0], 0, 0].float())
    assert len(pids_of(tmp_path)) == 1  # one port, one program


def test_one_number_is_the_second_class(tmp_path: Path) -> None:
    text = "say(classes=1, output='logits')\nwhile True: n, c, p = take(); answer(n, c, p, 1)"
    assert open_file(program(tmp_path, text)).run(IMAGES).tolist() == [[0.0, 1.0]] * 10


def test_numbers_that_are_none_are_kept(tmp_path: Path) -> None:
    text = "say(output='logits')\nwhile True:\n  n, c, p = take()\n"
    text += "  put(H.pack(b'CMPr', n, c, 12 * c) + struct.pack('<f', float('nan')) * 3 * c)"
    assert bool(open_file(program(tmp_path, text)).run(IMAGES).isnan().all())


def test_the_hash_is_of_words_files_and_the_first_line(tmp_path: Path) -> None:
    def hash_of(command: str) -> str:
        return open_file(command).content_hash

    command = program(tmp_path / "a")
    first = hash_of(command)
    assert hash_of(command) == first
    gc.collect()
    program(tmp_path / "a", "say()\n\nwhile True: answer(*take())")
    assert hash_of(command) != first  # another script
    assert len({first, hash_of(f"{command} more"), hash_of(program(tmp_path / "b"))}) == 3


def test_a_relative_program_is_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = shlex.split(program(tmp_path))[1:]
    (tmp_path / "run").write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
    (tmp_path / "run").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    torch.testing.assert_close(open_file("cmd: ./run").run(IMAGES), MEANS)


# --- how it fails


BROKEN = {
    "text before the first line": ("print('Loading', flush=True)\nsay()", "'Loading'"),
    "no object": ("put(b'[1]\\n')", "no object"),
    "another version": ("say(compd=2)", "compd=2"),
    "no classes": ("say(classes=0)", "classes=0"),
    "a shape of two numbers": ("say(input=[4, 4])", "input=[4, 4]"),
    "a shape that does not tell": ("say(input=[3, 4, 3])", "--layout NCHW"),
    "an image too large": ("say(input=[3, 100000, 100000])", "input=[3, 100000"),
    "another layout": ("say(layout='CHW')", "layout='CHW'"),
    "another output": ("say(output='scores')", "output='scores'"),
    "no batch": ("say(batch=True)", "batch=True"),
    "names of others": ("say(names=['a'])", "3 texts"),
    "many facts": ("say(**{str(i): i for i in range(99)})", "facts"),
    "a deep line": ("put(b'[' * 100000 + b'\\n')", "one JSON line"),
    "a line too long": ("put(b'x' * (2 << 20))", "1024 KiB"),
    "text among the frames": ("say()\ntake()\nprint('42', flush=True)\ntake()", "42"),
    "garbage": ("say()\ntake()\nput(bytes(range(128, 255)))\ntake()", "starts with CMPr or CMPe"),
    "few numbers": ("say()\nanswer(*take(), cut=4)\ntake()", "got 1 images in 8 bytes"),
    "many classes": ("say()\nanswer(*take(), classes=4)\ntake()", "got 1 images in 16 bytes"),
    "another count": (
        "say()\nn, c, p = take()\nput(H.pack(b'CMPr', n, 2, 24) + bytes(24))\ntake()",
        "got 2 images",
    ),
    "its own error": (
        "say()\nn, c, p = take()\nsys.stderr.write('fan 2\\n')\n"
        "put(H.pack(b'CMPe', n, 0, 8) + b'too hot!')\ntake()",
        "'too hot!' (last on its standard error: 'fan 2')",
    ),
    "an error without end": ("say()\nput(H.pack(b'CMPe', take()[0], 0, 1 << 31))", "2147483648"),
    "replies to others alone": (
        "say()\nn, c, p = take()\nwhile True: answer(n - 1, c, p)",
        "got 17 to others",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_one_line_and_the_end_of_the_program(
    tmp_path: Path, refuses: Refuses, name: str
) -> None:
    body, culprit = BROKEN[name]
    with refuses("expected", "cmd: python", culprit) if "tell" not in name else refuses(culprit):
        open_file(program(tmp_path, body))
    gc.collect()
    (pid,) = pids_of(tmp_path)  # it is not asked again
    assert is_gone(pid)


def test_a_program_that_ends_at_once_says_why(tmp_path: Path, refuses: Refuses) -> None:
    body = "sys.stderr.write('one\\nno such port: /dev/x\\n\\n')\nsys.exit(3)"
    with refuses("a first line", "ended with status 3", "'no such port: /dev/x'"):
        open_file(program(tmp_path, body))
    assert len(pids_of(tmp_path)) == 1


def test_a_program_that_never_begins_is_ended(tmp_path: Path, refuses: Refuses) -> None:
    with refuses("within 0.4 s", "--deployed-input 'start-deadline=300'"):
        open_file(program(tmp_path, "time.sleep(60)"), Overrides(start_deadline=0.4))
    (pid,) = pids_of(tmp_path)
    assert is_gone(pid)


def test_a_program_that_never_answers_is_asked_three_times(
    tmp_path: Path, refuses: Refuses
) -> None:
    command = program(tmp_path, "say()\ntime.sleep(60)")
    with (
        pytest.warns(CompdWarning),
        refuses("within 0.05 s", "3 times", "--deployed-input 'deadline=300'"),
    ):
        open_file(command, Overrides(deadline=0.05))
    assert len(pids_of(tmp_path)) == 3
    assert all(map(is_gone, pids_of(tmp_path)))


ENDS = {
    "ends": "sys.stderr.write('bus error\\n'); sys.exit(1)",
    "hangs": "sys.stderr.write('bus error\\n'); sys.stderr.flush(); time.sleep(60)",
    "is killed": "sys.stderr.write('bus error\\n'); os.kill(os.getpid(), signal.SIGKILL)",
    "ends within an answer": "sys.stderr.write('bus error\\n'); put(b'CMPr1234'); sys.exit(1)",
}


@pytest.mark.parametrize("name", ENDS)
def test_one_that_fails_in_the_middle_is_started_and_asked_again(tmp_path: Path, name: str) -> None:
    body = "say(output='logits', batch=2)\nfor _ in range(8): answer(*take())\n"
    body += f"while True:\n  asked = take()\n  if first(): {ENDS[name]}\n  answer(*asked)"
    runtime = open_file(program(tmp_path, body), SOON)
    runtime.run(IMAGES[:2])
    with pytest.warns(CompdWarning, match="'bus error'.*started and asked again") as warned:
        torch.testing.assert_close(runtime.run(IMAGES), MEANS)
    assert len(warned) == 1
    one, two = pids_of(tmp_path)
    assert is_gone(one)
    assert not is_gone(two)


def test_one_that_fails_on_and_on_is_asked_three_times(tmp_path: Path, refuses: Refuses) -> None:
    body = "say()\nwhile first(): answer(*take())\nsys.stderr.write('overheated'); sys.exit(7)"
    runtime = open_file(program(tmp_path, body))
    os.kill(pids_of(tmp_path)[0], signal.SIGKILL)
    with (
        pytest.warns(CompdWarning),
        refuses(
            "answers to 10 images", "failed 3 times in a row", "ended with status 7", "'overheated'"
        ),
    ):
        runtime.run(IMAGES)
    assert len(pids_of(tmp_path)) == 3


def test_a_new_start_has_the_deadline_of_a_start(tmp_path: Path, refuses: Refuses) -> None:
    body = "if not first(): time.sleep(60)\nsay()\nwhile True: answer(*take())"
    runtime = open_file(program(tmp_path, body), Overrides(start_deadline=0.4))
    os.kill(pids_of(tmp_path)[0], signal.SIGKILL)
    with pytest.warns(CompdWarning), refuses("3 times", "'start-deadline=300'"):
        runtime.run(IMAGES)


def test_another_model_after_a_new_start_is_told(tmp_path: Path, refuses: Refuses) -> None:
    body = "say(firmware=str(first()))\nwhile True: answer(*take())"
    runtime = open_file(program(tmp_path, body))
    os.kill(pids_of(tmp_path)[0], signal.SIGKILL)
    with pytest.warns(CompdWarning), refuses("the same first line", "True", "False"):
        runtime.run(IMAGES)


def test_a_reply_that_comes_late_is_not_taken_for_the_next(tmp_path: Path) -> None:
    """As where a serial line still holds the answer to a frame that was given up."""
    body = "say(output='logits')\nwhile True:\n  n, c, p = take()\n"
    body += "  answer(n - 1, c, bytes(len(p)))\n  answer(n - 2, 1, bytes(48), kind=b'CMPe')\n"
    body += "  answer(n, c, p)"
    torch.testing.assert_close(open_file(program(tmp_path, body)).run(IMAGES), MEANS)


def test_standard_error_does_not_hold_it_up(tmp_path: Path) -> None:
    body = "say(output='logits')\nwhile True:\n  asked = take()\n"
    body += "  sys.stderr.write('noise\\n' * 100000)\n  answer(*asked)"
    torch.testing.assert_close(open_file(program(tmp_path, body)).run(IMAGES), MEANS)


def test_one_that_does_not_read(tmp_path: Path, refuses: Refuses) -> None:
    """A frame larger than a pipe: writing it must not wait for ever."""
    body = "say(input=[3, 700, 700])\ntime.sleep(60)"
    with refuses("bytes of the frame unread"), pytest.warns(CompdWarning):
        open_file(program(tmp_path, body), Overrides(deadline=0.1))
    assert all(map(is_gone, pids_of(tmp_path)))


@pytest.mark.parametrize(
    ("command", "culprits"),
    [
        ("cmd:", ["without a program"]),
        ("cmd: 'open", ["No closing quotation"]),
        ("cmd: no-such-program --port 1", ["no 'no-such-program' on the PATH"]),
        ("cmd: ./nothing-here", ["./nothing-here", "not executable"]),
    ],
)
def test_what_cannot_be_started(refuses: Refuses, command: str, culprits: list[str]) -> None:
    with refuses("expected", *culprits):
        open_file(command)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_deadlines_that_make_no_sense(refuses: Refuses, seconds: float) -> None:
    with refuses("positive number of seconds", "deadline="):
        Overrides(deadline=seconds)


# --- that it ends


@linux
def test_it_ends_with_the_runtime_and_what_it_has_started_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.1)  # the child keeps standard output open
    body = "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
    body += "open(here + '/starts', 'a').write(f'{child.pid}\\n')\n"
    body += "say()\nwhile True: answer(*take())"
    runtime: FileRuntime | None = open_file(program(tmp_path, body))
    own, child = pids_of(tmp_path)
    del runtime
    gc.collect()
    assert is_gone(own)
    assert ends(child)


def test_it_may_put_things_in_order(tmp_path: Path) -> None:
    body = "say()\ntry:\n  while True: answer(*take())\n"
    body += "finally: open(here + '/closed', 'w').close()"
    runtime: FileRuntime | None = open_file(program(tmp_path, body))
    del runtime
    gc.collect()
    assert (tmp_path / "closed").exists()


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    body = "say(output='logits')\nfor _ in range(6): answer(*take())\n"
    body += "take()\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)"
    runtime = open_file(program(tmp_path, body))
    with pytest.raises(KeyboardInterrupt):
        [runtime.run(IMAGES) for _ in range(9)]
    assert all(map(is_gone, pids_of(tmp_path)))


# without the package around it, whose imports take seconds
_OPENS = """
import importlib.util, os, sys
from compd.files.programs import Program
spec = importlib.util.spec_from_file_location("process", sys.argv[3])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
kept = module.Process(Program.of(sys.argv[1]))
kept.transfer(b"", lambda buffer: b"\\n" in buffer or None, 10)
if sys.argv[2] != "exit":
    os.kill(os.getpid(), int(sys.argv[2]))
"""


@linux
def test_nothing_is_left_whatever_ends_us(tmp_path: Path) -> None:
    ways = {"exit": 0, str(int(signal.SIGTERM)): -15, str(int(signal.SIGKILL)): -9}
    running = {
        way: subprocess.Popen(
            [
                *(sys.executable, "-c", _OPENS),
                *(program(tmp_path / way, "say()\ntime.sleep(60)"), way, process.__file__),
            ]
        )
        for way in ways
    }
    for way, status in ways.items():
        assert running[way].wait(60) == status
        assert ends(*pids_of(tmp_path / way)), way


# --- a search on it


def found_on(file: str | Path, strategy: str) -> list[tuple[int, bytes]]:
    pair = deployed_as(tiny_pair(), file)
    settings = STRATEGIES.parse(strategy)
    findings = fuzz(pair, tiny_splits().seeds, strategy=settings, limit=12, eps=16)
    return [(f.seed_row, f.image.numpy().tobytes()) for f in findings]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("strategy", ["boundary", "blackbox:queries=60"])
def test_a_search_finds_the_same_as_on_the_file_itself(strategy: str) -> None:
    file = onnx_files()[1]
    over_the_bridge = found_on(example(file), strategy)
    assert len(over_the_bridge) >= 3
    assert over_the_bridge == found_on(file, strategy)


def test_gradients_come_from_the_original_where_a_program_is_deployed() -> None:
    original, file = onnx_files()
    pair, splits = pair_of_files(original, example(file), data=str(photos()))
    assert pair.original is not None
    assert pair.shadow is not None
    assert any("is its shadow" in note for note in pair.notes)
    found = list(fuzz(pair, splits.seeds, limit=8, eps=16))
    shipped = open_file(file)
    assert found
    assert all(int(shipped.run(f.image[None]).argmax(1)) != f.seed_label for f in found)
    more = runtimes_of(pair, f"deployed,{example(file)}")
    assert {one.content_hash for one in more.values()} == {pair.deployed.content_hash}


def test_other_images_than_the_pairs_are_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses("3 x 4 x 4", "cmd: python"):
        pair_of_files(onnx_files()[0], program(tmp_path), data=str(photos()))


def test_every_error_is_one_of_ours(tmp_path: Path) -> None:
    """Bytes at random in the place of the first line and of replies."""
    for seed in range(4):
        body = f"import random\nr = random.Random({seed})\n"
        body += "say() if r.random() < 0.7 else None\nput(r.randbytes(5000))\ntime.sleep(60)"
        with pytest.raises(CompdError):
            open_file(program(tmp_path / str(seed), body), Overrides(deadline=1))
