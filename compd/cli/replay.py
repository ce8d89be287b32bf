"""``compd replay``: what do both models say of this file?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.cli.pairs import open_pair_of, use_threads_of
from compd.system import prepare

if TYPE_CHECKING:
    from torch import Tensor

    from compd.corpus import Corpus
    from compd.search import Answer

__all__ = ["replay"]

_LARGEST = 256 << 20  # bytes


@takes_pair()
def replay(
    request: PairRequest,
    file: Annotated[Path, typer.Argument(help="A picture, of a corpus or not.")],
    json: o.JsonFile = None,
    threads: o.Threads = None,
) -> int:
    """Judge one picture on a pair; exit 1 if the two models differ."""
    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.render.tables import print_facts
    from compd.corpus import fingerprint_changes
    from compd.errors import SettingError
    from compd.images import pixel_hash, png_round_trip
    from compd.search import Answer, Judge
    from compd.search.judge import answers_of

    check_outputs(json=json)
    store = _corpus_of(file)
    if store is None:
        prepare(threads)
    else:
        use_threads_of(store, threads)
    with live() as report:
        if store is not None and len(store):
            pair = open_pair_of(store, request, report, changed=request.names_pair)
        elif request.pair is not None:
            pair = request.load()
        elif request.names_pair:
            pair, _ = request.open(report)
        else:
            raise SettingError(
                f"expected --pair DIR or --model, since {str(file)!r} is in no corpus that names "
                "its pair"
            )
    image = _read(file, pair.spec.model.channels)
    pair.check_input(image[None], str(file))
    sha256 = pixel_hash(image)
    record = store.find(sha256) if store is not None and sha256 in store else None
    said, shipped = Judge(pair).logits(png_round_trip(image[None]))
    answer = answers_of(said)
    original = Answer.of(answer, 0, pair.classes)
    deployed = Answer.of(answers_of(shipped, answer.label), 0, pair.classes)
    differ = original.label != deployed.label
    severity = min(original.margin, deployed.margin) if differ else 0.0
    rows = [
        ("file", f"{file} ({sha256[:12]})"),
        *(
            (who, f"{one.name} (margin {one.margin:.3f}): {_top(one)}")
            for who, one in (("original", original), ("deployed", deployed))
        ),
        ("severity", f"{severity:.3f}"),
    ]
    content = {
        "file": str(file),
        "sha256": sha256,
        "deviates": differ,
        "severity": severity,
        "original": original.name,
        "original_margin": original.margin,
        "deployed": deployed.name,
        "deployed_margin": deployed.margin,
    }
    if record is not None:
        changes = fingerprint_changes(record, pair.fingerprint(batch=1))
        stability = "" if record.stability is None else f", {record.stability}"
        stored = f"{record.flip}, severity {record.severity:.3f}{stability}, from {record.seed_row}"
        rows.append(("stored", stored))
        rows += [(f"  {key}", f"{then} → {now}"[:200]) for key, (then, now) in changes.items()]
        content |= {
            "stored_flip": record.flip,
            "stored_severity": record.severity,
            "fingerprint_changes": {key: list(value) for key, value in changes.items()},
        }
    rows.append(("verdict", "deviates" if differ else "both models agree"))
    if json is not None:
        write_json(json, content)
    print_facts("", rows)
    return int(differ)


def _corpus_of(file: Path) -> Corpus | None:
    """The corpus that a picture lies in, if it does: images/ab/abcdef….png."""
    from compd.corpus import Corpus

    parts = file.resolve().parents
    if len(parts) > 2 and (parts[2] / "metadata.jsonl").is_file():
        return Corpus(parts[2])
    return None


def _read(file: Path, channels: int) -> Tensor:
    from compd.errors import SettingError
    from compd.files.reading import read_whole
    from compd.images import read_image

    try:
        return read_image(read_whole(file, _LARGEST), str(file), channels=channels)
    except OSError as error:
        raise SettingError(f"expected to read {str(file)!r}, got: {error.strerror}") from error


def _top(answer: Answer) -> str:
    return ", ".join(f"{name} {p:.1%}" for name, p in answer.top)
