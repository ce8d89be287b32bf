"""A gate's result as files that CI systems read."""

from compd.gating.outputs.annotations import workflow_commands
from compd.gating.outputs.junit import junit
from compd.gating.outputs.sarif import sarif
from compd.gating.outputs.summary import summary
from compd.gating.outputs.writing import write_result

__all__ = ["junit", "sarif", "summary", "workflow_commands", "write_result"]
