"""compd finds, proves and stores inputs on which a compressed network deviates from its original.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"
