"""Studies on a page: tables, and charts as inline SVG."""

from compd.report.page.studies.reading import read_study, study_of
from compd.report.page.studies.sections import StudySection, section_of_study
from compd.report.page.studies.verdict import headline_of_studies

__all__ = ["StudySection", "headline_of_studies", "read_study", "section_of_study", "study_of"]
