"""Reports: the numbers of a campaign, what they say in words, and pictures of findings.

The names below load on first use: words need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.report.campaign import CampaignReport, campaign_report, run_campaign
    from compd.report.picture import (
        Sheet,
        amplified,
        contact_sheet,
        enlarged,
        factor_of,
        show_entries,
    )

__all__ = [
    "CampaignReport",
    "Sheet",
    "amplified",
    "campaign_report",
    "contact_sheet",
    "enlarged",
    "factor_of",
    "run_campaign",
    "show_entries",
]

_HOMES = {
    "CampaignReport": "campaign",
    "Sheet": "picture",
    "amplified": "picture",
    "campaign_report": "campaign",
    "contact_sheet": "picture",
    "enlarged": "picture",
    "factor_of": "picture",
    "run_campaign": "campaign",
    "show_entries": "picture",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
