"""What was found, in words."""

from __future__ import annotations

from typing import Any

import pytest

from compd.report.sentence import (
    bound_words,
    campaign_sentence,
    flip_words,
    found_sentence,
    full_words,
    made_words,
    name_words,
    severity_words,
    sure_words,
    worst_of,
)

SEVEN = {"name": "7", "confidence": 0.996, "margin": 0.99}
ONE = {"name": "1", "confidence": 0.985, "margin": 0.97}


def result(**changes: Any) -> dict[str, Any]:
    settings = {"compress": {"kind": "prune", "amount": 0.75}, "eps": 16, "norm": "linf"}
    content = {
        "seeds": 64,
        "seeds_effective": 36,
        "severity_max": 0.97,
        "settings": settings,
        "worst": {"original": SEVEN, "deployed": ONE},
    }
    return content | changes


def test_a_severe_campaign_names_its_worst_flip() -> None:
    assert campaign_sentence(result()) == (
        "pruned: 36 of 64 images flip within 16/255; worst: 7 (99 % sure) becomes 1 (99 % sure)."
    )


def test_a_mild_campaign_says_that_nothing_is_sure() -> None:
    settings = {"compress": {"kind": "ptq", "weight_bits": 8}, "eps": 16, "norm": "linf"}
    mild = result(seeds_effective=26, severity_max=0.02, settings=settings)
    said = "int8: 26 of 64 images flip within 16/255, none of them sure."
    assert campaign_sentence(mild) == said


def test_a_campaign_without_a_deviation_or_without_seeds_says_so() -> None:
    nothing = {"severity_max": None, "worst": None, "seeds_effective": 0}
    assert campaign_sentence(result(**nothing)) == "pruned: none of 64 images flips within 16/255."
    assert campaign_sentence(result(seeds=0, **nothing)) == "pruned: nothing was searched."


def test_json_of_before_there_was_a_worst_gives_a_sentence() -> None:
    old = result()
    del old["worst"]
    assert campaign_sentence(old) == "pruned: 36 of 64 images flip within 16/255."


def test_one_image_and_no_bound_are_said_as_they_are() -> None:
    assert found_sentence("x", 1, 1, "unbounded") == "x: 1 of 1 image flips, unbounded."
    assert found_sentence("x", 2, 3, bound_words(128, "l2")) == (
        "x: 2 of 3 images flip, L2 within 128/255."
    )
    assert found_sentence("x", 1, 3, "within 4/255", severity=0.1) == (
        "x: 1 of 3 images flips within 4/255, not sure."
    )


@pytest.mark.parametrize(
    ("eps", "norm", "said"),
    [
        (16, "linf", "within 16/255"),
        (128, "l2", "L2 within 128/255"),
        (None, "linf", "unbounded"),
        (None, "l2", "unbounded"),
        (255, "linf", "unbounded"),
        (300, "l2", "L2 within 300/255"),
    ],
)
def test_bounds_in_words(eps: int | None, norm: str, said: str) -> None:
    assert bound_words(eps, norm) == said


@pytest.mark.parametrize(
    ("compress", "said"),
    [
        ({"kind": "qat"}, "int8"),
        ({"kind": "ptq", "weight_bits": 7}, "int8"),
        ({"kind": "ptq", "weight_bits": 4}, "int8 with weights of 4 bits"),
        ({"kind": "prune"}, "pruned"),
        ({"kind": "given", "original": "a.onnx", "deployed": "out/b int8.onnx"}, "b int8.onnx"),
        ({"kind": "given", "deployed": "C:\\out\\b.tflite"}, "b.tflite"),
        ({"kind": "palettise"}, "palettise"),
        ({}, "deployed"),
    ],
)
def test_compressions_in_words(compress: dict[str, Any], said: str) -> None:
    assert made_words(compress) == said


@pytest.mark.parametrize(
    ("compress", "said"),
    [
        ({"kind": "qat"}, "int8, quantisation-aware training"),
        (
            {"kind": "ptq", "weight_bits": 4},
            "int8 with weights of 4 bits, quantised after training",
        ),
        (
            {"kind": "prune", "amount": 0.75},
            "pruned, 75 % of each convolution's weights set to zero, then fine-tuned",
        ),
        ({"kind": "given", "deployed": "b.onnx"}, "b.onnx, a file as it ships"),
        ({"kind": "palettise"}, "palettise"),
    ],
)
def test_compressions_in_full(compress: dict[str, Any], said: str) -> None:
    assert full_words(compress) == said


@pytest.mark.parametrize(
    ("confidence", "said"),
    [(1.0, "99 %"), (0.999, "99 %"), (0.9757, "98 %"), (0.969, "97 %"), (0.29, "29 %")],
)
def test_confidence_is_rounded_and_never_whole(confidence: float, said: str) -> None:
    assert sure_words(confidence) == f"{said} sure"


def test_severity_in_words() -> None:
    levels = [0.95, 0.8996, 0.899, 0.7, 0.69, 0.0]
    said = [severity_words(level) for level in levels]
    assert (
        said
        == ["both over 90 % sure"] * 2
        + ["both over 70 % sure"] * 2
        + ["not both over 70 % sure"] * 2
    )
    assert severity_words((SEVEN, ONE)) == "both over 90 % sure"
    assert severity_words((SEVEN, ONE | {"confidence": 0.6})) == "one of them wavers"
    unsure = {"confidence": 0.6}
    assert severity_words((SEVEN | unsure, ONE | unsure)) == "both waver"


def test_names_of_strangers_are_one_printable_line() -> None:
    hostile = "a\nb\x1b[31m\u202e" + "x" * 10_000
    said = flip_words({**SEVEN, "name": hostile}, ONE)
    assert len(said) < 150
    assert said.isprintable()
    assert name_words("") == name_words(" \n") == "(no name)"
    assert made_words({"kind": "given", "deployed": hostile}).isprintable()


def test_the_worst_is_the_most_severe_of_what_deviates() -> None:
    class Flip:
        def __init__(self, sha256: str, severity: float, verdict: str = "effective") -> None:
            self.sha256, self.severity, self.verdict = sha256, severity, verdict

    worst = worst_of([Flip("a", 0.2), Flip("b", 0.9), Flip("c", 1.0, "valid")])
    assert worst is not None
    assert worst.sha256 == "b"
    assert worst_of([Flip("c", 1.0, "valid")]) is None
