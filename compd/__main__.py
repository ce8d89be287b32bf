"""``python -m compd``."""

from compd.cli import main

main()
