"""Reports: the numbers of a campaign, and pictures of findings."""

from compd.report.campaign import CampaignReport, campaign_report
from compd.report.picture import amplified, contact_sheet, enlarged, factor_of

__all__ = [
    "CampaignReport",
    "amplified",
    "campaign_report",
    "contact_sheet",
    "enlarged",
    "factor_of",
]
