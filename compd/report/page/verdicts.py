"""Reading the JSON of a gate and of a repair."""

from __future__ import annotations

from compd.report.page.fields import Fields
from compd.report.page.shown import Fresh, GateShown, RepairShown
from compd.statistics import Share
from compd.text import one_line

__all__ = ["gate_of", "repair_of"]

_CLASSES = 20_000


def gate_of(fields: Fields, name: str) -> GateShown:
    """A gate's result; raises CompdError where a value is not of its kind."""
    statuses, severities = {}, [0.0]
    for one in fields.objects("deviations"):
        status = one.text("status")
        statuses[one.text("sha256")] = status, one.text("why", "")
        if status == "new":
            severities.append(one.number("severity", 0, 1))
    search, compared = "", None
    if "search" in fields:
        one = fields.inner("search")
        search = (
            f"{one.part('seeds_effective', 'seeds')} of {one.count('seeds')} seeds deviate, "
            f"from rows {one.text('rows')}"
        )
    if "compared" in fields:
        compared = fields.inner("compared")
    return GateShown(
        name=name,
        verdict=fields.text("verdict"),
        exit_code=fields.count("exit_code"),
        pair=fields.text("pair", ""),
        corpus=fields.text("corpus", ""),
        baseline=fields.text("baseline", ""),
        counts={key: int(value) for key, value in fields.numbers("counts").items()},
        statuses=statuses,
        severity_max=max(severities) if len(severities) > 1 else None,
        failures=fields.names("failures"),
        clean=_clean(fields.inner("clean")) if "clean" in fields else {},
        search=search,
        mean=None
        if compared is None
        else (compared.number("mean_before", 0, 1), compared.number("mean_now", 0, 1)),
        worse=()
        if compared is None
        else tuple(
            (
                one.text("seed_row"),
                one.text("flip", "") or "–",
                one.number("before", 0, 1),
                one.number("now", 0, 1),
            )
            for one in compared.objects("worse")
        ),
        notes=fields.texts("notes"),
        seconds=fields.number("seconds"),
        fingerprint=fields.names("fingerprint"),
    )


def _clean(clean: Fields) -> dict[str, str]:
    images, disagree = clean.count("images"), clean.count("disagree")
    said = {
        "images": f"{images} (rows {clean.text('rows', '?')})",
        "natural disagreement": f"{disagree} of {images}, below "
        f"{100 * clean.number('disagree_bound', 0, 1):.2f} % with 95 % confidence",
    }
    for who in ("original", "deployed"):
        accuracy = clean.maybe(f"{who}_accuracy", 0, 1)
        if accuracy is not None:
            said[f"accuracy, {who}"] = f"{100 * accuracy:.2f} %"
    return said


def repair_of(fields: Fields, name: str) -> RepairShown:
    """A repair's result; raises CompdError where a value is not of its kind."""
    clean = fields.inner("clean")
    images = clean.count("images")

    def accuracy(who: str) -> Share:
        return Share.count_of(round(clean.number(f"accuracy_{who}", 0, 1) * images), images)

    return RepairShown(
        name=name,
        pair=fields.text("pair", ""),
        images=images,
        accuracy=(accuracy("original"), accuracy("before"), accuracy("after")),
        natural=(clean.share("natural_before"), clean.share("natural_after")),
        fixed=fields.count("fixed"),
        new=fields.count("new"),
        chance=clean.number("p_value", 0, 1),
        corpus=(
            fields.count("corpus_effective_before"),
            fields.count("corpus_effective_after"),
        ),
        heldout=(
            fields.count("heldout_effective_before"),
            fields.count("heldout_effective_after"),
        ),
        fresh=tuple(_fresh(one) for one in fields.objects("fresh")),
        robust=tuple(
            (
                one.text("attack"),
                one.number("original", 0, 1),
                one.number("before", 0, 1),
                one.number("after", 0, 1),
            )
            for one in fields.objects("robust")
        ),
        by_class=_by_class(clean),
        rounds=fields.count("rounds"),
        best_round=fields.count("best_round"),
        seconds=fields.number("seconds"),
        notes=fields.texts("notes"),
        fingerprint=fields.names("fingerprint"),
    )


def _fresh(one: Fields) -> Fresh:
    before, after = one.numbers("severity_shares_before"), one.numbers("severity_shares_after")
    return Fresh(
        search=one.text("search"),
        before=one.share("effective_before"),
        after=one.share("effective_after"),
        severe=tuple((level, before[level], after[level]) for level in before if level in after),
    )


def _by_class(clean: Fields) -> dict[str, tuple[float, float, float]]:
    if "accuracy_by_class" not in clean:
        return {}
    found: dict[str, tuple[float, float, float]] = {}
    for label, values in list(clean.inner("accuracy_by_class").content.items())[:_CLASSES]:
        ends = values if isinstance(values, list | tuple) else []
        three = Fields(dict(zip("abc", ends, strict=False)), f"{label!r:.40}", "accuracy_by_class")
        found[one_line(label)] = (
            three.number("a", 0, 1),
            three.number("b", 0, 1),
            three.number("c", 0, 1),
        )
    return found
