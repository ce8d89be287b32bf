"""Run one target under Atheris: ``python fuzz/drive.py png -max_total_time=60``.

What follows the target's name are libFuzzer's own options and folders. Without a target: the names.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # inputs are tiny: threads would only wait
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parent))

from targets import TARGETS, why_not

__all__ = ["main"]

# What parses: code that is counted as covered. PyTorch is far too large.
_INSTRUMENTED = ["compd", "PIL", "onnx"]
_SPARE_MB = 1024  # beyond what the imports take
_LARGEST = 1 << 16  # bytes of an input


def main(arguments: list[str]) -> int:
    """Fuzz; returns only if there is nothing to run."""
    if not arguments:
        print("\n".join(TARGETS))
        return 0
    name, *options = arguments
    if name not in TARGETS:
        print(f"expected a target ({', '.join(TARGETS)}), got {name!r}", file=sys.stderr)
        return 2
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        missing = why_not(name)  # imports the target, and with it what it tests
    if missing:
        print(f"skipped: {missing}")
        return 0
    from targets import load

    target = load(name)
    home = Path(tempfile.mkdtemp(prefix=f"compd-fuzz-{name}-"))
    folder, new = home / "seeds", home / "new"
    folder.mkdir()
    new.mkdir()
    for number, seed in enumerate(target.seeds()):
        (folder / f"{number:03}").write_bytes(seed)
        target.entry(seed)  # imports what is imported late, before memory is looked at
    words = home / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.WORDS if word))
    found = [option for option in options if not option.startswith("-")]
    replay = bool(found) and all(Path(name).is_file() for name in found)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    command = [
        sys.argv[0],
        f"-dict={words}",
        "-timeout=2",
        f"-rss_limit_mb={base + _SPARE_MB}",
        f"-max_len={_LARGEST}",
        "-print_final_stats=1",
        *options,
        *([] if found else [str(new)]),
        *([] if replay else [str(folder)]),
    ]
    print(f"{name}: {base} MB after its imports and seeds", file=sys.stderr)
    named = {"custom_mutator": _mutator(target, atheris)} if hasattr(target, "mutate") else {}
    prefix = next((o.partition("=")[2] for o in options if o.startswith("-artifact_prefix=")), "")

    def entry(data: bytes) -> None:
        try:
            target.entry(data)
        except BaseException:  # libFuzzer is sometimes killed at exit before it has written it
            digest = hashlib.sha256(data).hexdigest()[:16]
            Path(f"{prefix}raised-{digest}").write_bytes(data)
            raise

    atheris.Setup(command, entry, **named)
    atheris.Fuzz()
    return 0


def _mutator(target: object, atheris: object) -> object:
    """Three of four mutations keep the shape; the rest are libFuzzer's own."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        made = None
        if seed % 4:
            made = target.mutate(bytes(data), most, seed)  # type: ignore[attr-defined]
        if made is None:
            made = atheris.Mutate(data, most)  # type: ignore[attr-defined]
        return made[:most]

    return mutate


def _escaped(word: bytes) -> str:
    return "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\x{b:02x}" for b in word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
