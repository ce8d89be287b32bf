"""From a pair to artifacts that other runtimes open."""

from compd.exporting.artifact import Target
from compd.exporting.run import Exported, check_export_target, export
from compd.exporting.targets import TARGETS

__all__ = ["TARGETS", "Exported", "Target", "check_export_target", "export"]
