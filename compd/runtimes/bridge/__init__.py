"""A program in a model's place: what runs on a board, on a phone, or on a server.

``wire`` is what goes over its pipes, ``process`` that it runs and comes to an end, ``device`` that
it is asked, and started again where it fails.
"""

from __future__ import annotations

from dataclasses import replace

from compd.files.programs import Program
from compd.runtimes.batching import Batching
from compd.runtimes.bridge.device import Deadlines, content_hash, device_of
from compd.runtimes.formats import Overrides, format_of
from compd.runtimes.openers import Opened

__all__ = ["open_program"]


def open_program(program: Program, overrides: Overrides) -> Opened:
    """Start a program, and learn what it says of itself.

    Args:
        program: to start.
        overrides: what the user says of it, before what it says itself.

    Raises:
        CompdError: if it cannot be started, or does not answer as it should.
    """
    usual = Deadlines()
    device = device_of(
        program,
        Deadlines(overrides.start_deadline or usual.start, overrides.deadline or usual.frame),
    )
    said = device.handshake
    told = Overrides(layout=said.layout, output=said.output)
    # Frames hold the levels of pixels: a normalisation is inside of what answers.
    levels = replace(overrides.over(told), range=None, mean=None, std=None)
    form = format_of(
        (None, *said.shape),
        "uint8",
        levels,
        size=None,
        name=program.name,
        output=said.output or "logits",
    )
    return Opened(
        engine=f"bridge-{said.device}" if said.device else "bridge",
        format=replace(form, classes=max(2, said.classes), single=said.classes == 1),
        call=device,
        content_hash=content_hash(device),
        facts={"program": program.name, **said.to_json()},
        census={},
        class_names=said.names,
        said=told,
        can_be_plain=False,
        batching=Batching.ONE if said.batch == 1 else None,
    )
