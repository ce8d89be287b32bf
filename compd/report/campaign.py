"""A campaign as one object with stable, documented keys (see ``docs/corpus.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from compd.compress import config_to_json, kind_of
from compd.pair.evaluation import Agreement
from compd.search import Campaign
from compd.search.strategies import STRATEGIES

__all__ = ["CampaignReport", "campaign_report"]


@dataclass(frozen=True)
class CampaignReport:
    """What ``compd fuzz`` prints and writes."""

    model: str
    data: str
    compress: str
    engine: str
    strategy: str
    original_accuracy: float | None
    shadow_accuracy: float | None
    deployed_accuracy: float | None
    shadow_deployed_disagreement: float | None
    natural_disagreement: float
    clean_images: int  # that the figures above are of, but those of the shadow
    shadow_images: int  # that those of the shadow are of
    seeds: int
    seeds_set_aside: int
    seeds_effective: int
    images_effective: int
    images_valid: int
    images_invalid: int
    severity_median: float | None
    severity_p90: float | None
    severity_max: float | None
    linf_max: int | None
    l2_mean: float | None
    gradients_per_seed: float
    forwards_per_seed: float
    seconds: float
    model_seconds: float
    stopped: str
    notes: tuple[str, ...]
    stored: int
    stability: Mapping[str, int]  # what was found depends on: "stable" -> how many
    corpus: str
    settings: Mapping[str, Any]
    rows: Mapping[str, str]
    fingerprint: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; keys are those of the class, but ``trust`` for ``stability``."""
        content = asdict(self)
        return {"trust" if key == "stability" else key: value for key, value in content.items()}


def campaign_report(
    campaign: Campaign,
    agreement: Agreement,
    *,
    rows: Mapping[str, str],
    corpus: str,
    stored: int,
    stability: Mapping[str, int] | None = None,
) -> CampaignReport:
    """Put together what a campaign did.

    Args:
        campaign: finished or stopped.
        agreement: of the same pair, on clean rows.
        rows: split name -> rows used, for all splits that took part.
        corpus: where the findings lie.
        stored: how many entries the campaign added there.
        stability: how many findings depend on what; None if they were not replayed.
    """
    spec, settings, summary = campaign.pair.spec, campaign.settings, campaign.summary()
    return CampaignReport(
        model=spec.model.model,
        data=campaign.data,
        compress=kind_of(spec.compress),
        engine=spec.engine,
        strategy=STRATEGIES.name_of(settings.strategy),
        original_accuracy=agreement.original_accuracy,
        shadow_accuracy=agreement.shadow_accuracy,
        deployed_accuracy=agreement.deployed_accuracy,
        shadow_deployed_disagreement=agreement.shadow_deployed_disagreement,
        natural_disagreement=agreement.natural_disagreement,
        clean_images=agreement.images,
        shadow_images=agreement.shadow_images,
        **asdict(summary),
        stored=stored,
        stability=dict(stability or {}),
        corpus=corpus,
        settings={
            "width": spec.model.width,
            "compress": config_to_json(spec.compress),
            "strategy": STRATEGIES.settings_of(settings.strategy),
            "eps": settings.eps,
            "norm": settings.norm,
            "goal": settings.goal,
            "flip": None if settings.flip is None else ":".join(settings.flip),
            "random_seed": settings.random_seed,
            "batch": campaign.batch,
            "keep": settings.keep,
            "time": settings.seconds,
        },
        rows=dict(rows),
        fingerprint=campaign.pair.fingerprint(batch=campaign.batch),
    )
