"""Reports: the numbers of a campaign, and pictures of findings."""

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
