"""A gate's result as files that CI systems read."""

from compd.gate.outputs.annotations import workflow_commands
from compd.gate.outputs.junit import junit
from compd.gate.outputs.sarif import sarif
from compd.gate.outputs.summary import summary

__all__ = ["junit", "sarif", "summary", "workflow_commands"]
