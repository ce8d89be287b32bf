"""From a pair and its corpus to a repaired pair and the verdict on it."""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compd.compress import RECIPE, starts
from compd.control import Control
from compd.corpus import Corpus
from compd.data import Splits, load_data
from compd.errors import UnavailableError
from compd.files.storage import cache_dir, check_cache, config_hash, disk_errors
from compd.logits import divergence
from compd.models.inputs import predict
from compd.pair import Pair, check_pair_target
from compd.pair.cache import torch_version
from compd.repairing.methods import Bench
from compd.repairing.origin import check_pair
from compd.repairing.result import RepairResult
from compd.repairing.rounds import Rounds, step_seconds, steps_within
from compd.repairing.selection import best_of
from compd.repairing.settings import RepairSettings
from compd.repairing.shifted import STRONG, held_under_shift
from compd.repairing.state import load_state
from compd.repairing.training_set import TrainingSet, training_set_of
from compd.repairing.verdict import verdict_on
from compd.wording import Worded, setting

__all__ = ["Plan", "plan", "repaired"]

_OTHER_DATA = Worded(
    "the data are not as they were when the pair was made (files were changed, or "
    f"{setting('data')} names others), so rows held out here may be among those that it was "
    "trained on"
)


@dataclass(frozen=True)
class Plan:
    """What a repair would do."""

    entries: int  # of the corpus
    training_images: int
    rounds: int  # at most
    steps: int  # a round
    batch: int
    seconds: float  # of the rounds at most, by timing a few steps
    notes: tuple[str, ...]


def plan(pair: Pair, corpus: Corpus, *, splits: Splits | None = None, **settings: Any) -> Plan:
    """Say what :func:`compd.repair` with the same arguments would do, and how long its rounds take.

    Raises:
        CompdError: as :func:`compd.repair`.
    """
    splits, training_set, how = _checked(pair, corpus, splits, RepairSettings(**settings))
    bench = _bench(pair, splits, training_set, how)

    if how.seconds is None:
        steps = how.method.steps_for(len(splits.train))
        longer = replace(how, method=how.method.in_round(steps))
        seconds = how.rounds * steps * step_seconds(pair, bench, longer)
    else:
        seconds = how.seconds
        steps = steps_within(seconds / how.rounds, pair, bench, how)
    return Plan(
        len(training_set.records),
        len(splits.train),
        how.rounds,
        steps,
        how.method.batch,
        round(seconds, 1),
        training_set.notes,
    )


def repaired(
    pair: Pair,
    corpus: Corpus,
    asked: RepairSettings,
    *,
    out: Path,
    splits: Splits | None,
    save_every: float,
    control: Control,
) -> RepairResult:
    """Repair a pair; arguments and errors are those of :func:`compd.repair`."""
    check_pair_target(out)
    splits, training_set, how = _checked(pair, corpus, splits, asked)
    key = _key(pair, splits, training_set, how)
    checkpoint = cache_dir() / "repairs" / f"{key}.state"
    _check_space(pair, out, checkpoint)
    state = load_state(checkpoint, key)
    notes = [f"went on after round {len(state.seen) - 1}"] if state.seen else []
    others, looks = held_under_shift(
        pair,
        _nearer(pair, splits, how),
        splits.selection,
        random_seed=how.random_seed,
        control=control,
    )
    notes += [str(look) for look in looks]
    rounds = Rounds(
        pair,
        others,
        _bench(pair, splits, training_set, how),
        splits.selection,
        how,
        state,
        checkpoint,
        control,
        save_every,
    )
    rounds.run()
    base = rounds.pair
    best, fixed = best_of(state.seen, how), pair.with_shadow(pair.shadow)
    if best:
        shadow = copy.deepcopy(base.shadow)
        shadow.load_state_dict(state.best)
        fixed = base.with_shadow(shadow)
        if base is not pair:
            notes.append(f"started from {base.spec.compress}, which was nearer to the original")
    else:
        notes.append(
            Worded(
                "no round was better than the start, which is handed back; try a lower "
                f"{setting('lr')}, more {setting('steps')}, or a corpus of more severe deviations"
            )
        )
    rows = {
        "repair training": f"{splits.train.rows} and {len(training_set.records)} corpus entries",
        "repair selection": splits.selection.rows,
    }
    if best:
        fixed.spec = replace(fixed.spec, rows={**pair.spec.rows, **rows})
    fixed.save(out)
    verdict = verdict_on(
        pair,
        fixed,
        training_set.pictures,
        training_set.labels,
        splits,
        how,
        control=control,
    )
    checkpoint.unlink(missing_ok=True)
    return RepairResult.of(
        verdict,
        rounds=len(state.seen) - 1,
        best_round=best,
        seconds=round(state.seconds, 1),
        pair=str(out),
        fingerprint=fixed.fingerprint(batch=256),
        settings=how.to_json(),
        entries=len(training_set.records),
        rows={**pair.spec.rows, **rows, "verdict": splits.heldout.rows},
        seen=tuple(state.seen),
        notes=(*training_set.notes, *state.notes, *notes),
        looks=looks,
    )


def _checked(
    pair: Pair, corpus: Corpus, splits: Splits | None, settings: RepairSettings
) -> tuple[Splits, TrainingSet, RepairSettings]:
    check_pair(pair)
    check_cache()
    if splits is None:
        model = pair.spec.model
        resize = pair.spec.resize or None
        splits = Splits(
            load_data(pair.spec.data, channels=model.channels, size=model.size, resize=resize)
        )
    pair.check_input(splits.heldout.images, "held-out images")
    training_set = training_set_of(corpus, pair, splits, settings)
    if splits.dataset.identity != pair.spec.data_identity:
        training_set = replace(training_set, notes=(*training_set.notes, _OTHER_DATA))
    return splits, training_set, replace(settings, eps=settings.eps or training_set.bound)


def _nearer(pair: Pair, splits: Splits, settings: RepairSettings) -> list[Pair]:
    """What training may start from instead of a pair: all that is nearer to the original.

    How near is measured on the calibration rows.
    """
    if not settings.method.restart:
        return []
    images = splits.calibration.images
    answers = predict(pair.reference.run, images)

    def distance(one: Pair) -> float:
        return float(divergence(predict(one.deployed.run, images), answers))

    others = (
        pair.with_shadow(shadow, config)
        for config, shadow in starts(pair.spec.compress, pair.shadow, pair.original, images)
    )
    most = distance(pair)
    return [one for one in others if distance(one) < most]


def _bench(
    pair: Pair, splits: Splits, training_set: TrainingSet, settings: RepairSettings
) -> Bench:
    dataset = splits.dataset
    return Bench(
        original=pair.original,
        shadow=pair.shadow,
        images=splits.train.images,
        stored=training_set.images,
        device=pair.device,
        pad=min(dataset.size) // 16 * (1 + dataset.mirror),
        mirror=dataset.mirror,
        eps=settings.eps or training_set.bound,
    )


def _key(pair: Pair, splits: Splits, training_set: TrainingSet, settings: RepairSettings) -> str:
    """Hash of all that determines a repair."""
    return config_hash(
        {
            "settings": settings.to_json(),
            "pair": pair.hashes,
            "engine": pair.deployed.engine,
            "data": splits.dataset.identity,
            "corpus": [record.sha256 for record in training_set.records],
            "starts": STRONG,
            "made_with": [RECIPE, torch_version(), pair.device.type],
        }
    )


def _check_space(pair: Pair, out: Path, checkpoint: Path) -> None:
    """Raise before the work starts if its results would not fit on the disk."""
    size = sum(t.numel() * t.element_size() for t in pair.shadow.state_dict().values())
    for folder, needed in ((checkpoint.parent, 6 * size), (out, 2 * size)):
        with disk_errors(folder):
            near = next(one for one in (folder, *folder.absolute().parents) if one.exists())
            free = shutil.disk_usage(near).free
        needed += 1 << 20
        if free < needed:
            raise UnavailableError(
                f"expected {needed / 2**20:.0f} MiB of free space, got {free / 2**20:.0f} MiB in "
                f"{str(folder)!r}; free some, or name another folder "
                f"({setting('out')}, COMPD_CACHE)"
            )
