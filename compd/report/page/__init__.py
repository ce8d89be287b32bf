"""The page: what was found, for whoever decides, in one HTML file."""

from compd.report.page.place import Place
from compd.report.page.results import read_results, results_of
from compd.report.page.shown import Result
from compd.report.page.write import check_page, write_page

__all__ = ["Place", "Result", "check_page", "read_results", "results_of", "write_page"]
