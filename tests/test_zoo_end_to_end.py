"""The paper's three networks through training, compression and search, at small width."""

import pytest

from compd.compress import Prune, Qat
from compd.data import Dataset, Splits, load_data, part_of
from compd.pair.build import build_pair
from compd.pair.evaluation import evaluate
from compd.search import Diva, Verdict, fuzz
from compd.sizes import Size
from compd.training import TrainConfig


def some_digits(count: int) -> Splits:
    whole = load_data("digits")
    part = whole.train

    def load():
        return part_of(part.images[:count], part.labels[:count], 10, "digits")

    return Splits(
        Dataset(
            "some-digits", f"digits-{count}", whole.classes, 3, Size(32, 32), False, {"train": load}
        )
    )


COMPRESSIONS = [Qat(), Prune(epochs=4, lr=0.02, batch=32)]


@pytest.mark.slow(1)
@pytest.mark.parametrize(("model", "width"), [("vgg11", 8), ("resnet18", 8), ("densenet121", 8)])
def test_train_compress_search(model, width):
    splits = some_digits(400 if model == "densenet121" else 800)
    for compress in COMPRESSIONS:  # of one original, which is trained once
        pair = build_pair(
            model,
            data=splits,
            width=width,
            compress=compress,
            device="cpu",
            training=TrainConfig(epochs=3, batch=32, pad=1, mirror=False),
        )
        seen = evaluate(pair, splits.test(), shadow=None)
        assert seen.shadow_disagreement is not None
        assert seen.shadow_disagreement <= 0.1
        campaign = fuzz(pair, splits.seeds, strategy=Diva(steps=3), limit=8, keep="valid")
        findings = list(campaign)
        summary = campaign.summary()
        # networks that are trained this little agree on few images, on some machines on less than 8
        assert summary.seeds == min(8, len(splits.seeds) - summary.seeds_set_aside) > 0
        assert summary.gradients_per_seed == 3
        for finding in findings:
            logits = pair.deployed.run(finding.image[None])[0]
            assert logits[finding.deployed.label] == logits.max()
            deviates = logits[finding.seed_label] < logits.max()
            assert deviates == (finding.verdict is Verdict.EFFECTIVE)
