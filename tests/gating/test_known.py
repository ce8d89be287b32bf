"""Which line of a baseline speaks of a deviation."""

from __future__ import annotations

from collections.abc import Callable

from compd.corpus import Record
from compd.gating import Accepted, Baseline
from compd.gating.known import Known

MakeRecord = Callable[..., Record]


def test_an_image_is_known_by_its_own_line(make_record: MakeRecord) -> None:
    one, other = make_record(1), make_record(2)
    known = Known(Baseline([Accepted.of(one, "seen")]), [one, other], by="image")
    assert known.line(one) is not None
    assert known.line(other) is None


def test_by_seed_the_most_severe_line_of_the_same_seed_and_flip_speaks(
    make_record: MakeRecord,
) -> None:
    mild = make_record(1, severity=0.2, seed_sha256="5" * 64)
    severe = make_record(2, severity=0.6, seed_sha256="5" * 64)
    fresh = make_record(3, severity=0.4, seed_sha256="5" * 64)
    stranger = make_record(4, severity=0.4, seed_sha256="6" * 64)
    baseline = Baseline([Accepted.of(mild, "mild"), Accepted.of(severe, "severe")])
    for order in ([mild, severe], [severe, mild]):
        known = Known(baseline, order, by="seed")
        line = known.line(fresh)
        assert line is not None
        assert line.reason == "severe"
        assert known.line(stranger) is None
        own = known.line(mild)
        assert own is not None
        assert own.reason == "mild"
    assert Known(baseline, [mild, severe], by="image").line(fresh) is None


def test_a_line_whose_image_is_not_in_the_corpus_speaks_of_no_seed(
    make_record: MakeRecord,
) -> None:
    one = make_record(1, seed_sha256="5" * 64)
    known = Known(Baseline([Accepted.of(one, "gone")]), [], by="seed")
    assert known.line(make_record(2, seed_sha256="5" * 64)) is None
