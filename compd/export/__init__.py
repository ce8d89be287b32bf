"""From a pair to artifacts that other runtimes open."""

from compd.export.run import Exported, check_export_target, export
from compd.export.targets import TARGETS

__all__ = ["TARGETS", "Exported", "check_export_target", "export"]
