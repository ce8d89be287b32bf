import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_pair, tiny_splits

from compd.logits import answers_of, disagrees
from compd.search.judge import Judge, Verdict, verdicts_of

logit = st.floats(-20, 20, width=32)
row = st.lists(logit, min_size=3, max_size=3)


@given(st.lists(st.tuples(row, row, st.integers(0, 2)), min_size=1, max_size=8))
def test_verdicts_follow_their_definition(rows):
    logits = [torch.tensor([r[k] for r in rows]) for k in (0, 1)]
    labels = torch.tensor([r[2] for r in rows])
    original, deployed = answers_of(logits[0]), answers_of(logits[1], labels)
    judgement = verdicts_of(torch.zeros(len(rows), 3, 1, 1), *logits, labels)
    for i in range(len(rows)):
        o, d, y = int(original.label[i]), int(deployed.label[i]), int(labels[i])
        expected = Verdict.INVALID if o != y else Verdict.VALID if d == y else Verdict.EFFECTIVE
        assert judgement.verdict(i) is expected
        margin = min(float(original.margin[i]), float(deployed.margin[i]))
        assert float(judgement.severity[i]) == (margin if expected is Verdict.EFFECTIVE else 0)


@given(row)
def test_answers_are_ordered_probabilities(values):
    answers = answers_of(torch.tensor([values]))
    top = answers.top_probabilities[0]
    assert 0 <= float(answers.margin[0]) <= float(answers.confidence[0]) <= 1 + 1e-6
    assert (top[:-1] >= top[1:]).all()
    assert abs(float(top.sum()) - 1) < 1e-5


def test_ties_go_to_the_lower_label():
    assert int(answers_of(torch.tensor([[1.0, 3.0, 3.0]])).label[0]) == 1


def test_a_tie_is_no_deviation():
    tied = torch.tensor([[1.0, 3.0, 3.0]])
    assert int(answers_of(tied, prefer=torch.tensor([2])).label[0]) == 2
    assert int(answers_of(tied, prefer=torch.tensor([0])).label[0]) == 1
    labels = torch.tensor([2])
    sure = torch.tensor([[0.0, 0.0, 5.0]])
    judgement = verdicts_of(torch.zeros(1, 3, 1, 1), sure, tied, labels)
    assert judgement.verdict(0) is Verdict.VALID
    assert disagrees(tied, torch.tensor([0])).all()
    assert not disagrees(tied, labels).any()


def test_the_judge_runs_both_real_models():
    pair = tiny_pair()
    seeds = tiny_splits().seeds
    labels = pair.reference.run(seeds.images).argmax(1)
    judgement = Judge(pair).confirm(seeds.images, labels)
    agree = pair.deployed.run(seeds.images).argmax(1) == labels
    assert torch.equal(judgement.valid, agree)
    assert torch.equal(judgement.effective, ~agree)


def test_models_side_by_side_answer_as_one_after_the_other():
    pair, images = tiny_pair(batch=16), tiny_splits().seeds.images[:40]
    alone, beside = (Judge(pair, overlap=overlap) for overlap in (False, True))
    for a, b in zip(alone.logits(images), beside.logits(images), strict=True):
        assert torch.equal(a, b)
