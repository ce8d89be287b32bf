"""The addresses in the package's metadata, all made of one setting: ``repository``.

On a package index nothing lies beside the README: its relative links and pictures lead to the
repository there, to the tag of the version, so that an old package keeps the pages it came with.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# The target of an inline picture or link, and of a link defined on a line of its own. A picture
# may be what a link is put on: [![text](picture)](link).
_INLINE = re.compile(r"(!\[[^]]*)?\]\(([^)\s]+)")
_DEFINED = re.compile(r"^(\[[^]]+\]: *)(\S+)", re.MULTILINE)
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Addresses(MetadataHookInterface):
    """Sets ``readme`` and ``urls``; hatchling runs it before it writes metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set both fields in the table ``project``, whose version is known."""
        repository = self.config["repository"].rstrip("/")
        tag = f"v{metadata['version']}"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, repository=repository, tag=tag),
        }
        metadata["urls"] = {
            "Homepage": repository,
            "Documentation": f"{repository}/tree/{tag}/docs",
            "Repository": repository,
            "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
            "Issues": f"{repository}/issues",
        }


def absolute(text: str, *, repository: str, tag: str) -> str:
    """Markdown whose links and pictures are absolute; code between fences stays as it is.

    Args:
        text: of the README, in the root of the repository.
        repository: its address, without a slash at the end.
        tag: of the version whose files are meant.
    """

    def address(target: str, *, picture: bool) -> str:
        if _ABSOLUTE.match(target):
            return target
        if target.startswith("#"):  # not every index gives headings the names they have here
            target = f"README.md{target}"
        return f"{repository}/{'raw' if picture else 'blob'}/{tag}/{target}"

    def inline(match: re.Match[str]) -> str:
        start, target = match.groups(default="")
        return f"{start}]({address(target, picture=bool(start))}"

    def defined(match: re.Match[str]) -> str:
        return match[1] + address(match[2], picture=False)

    parts = _FENCE.split(text)
    parts[::2] = [_DEFINED.sub(defined, _INLINE.sub(inline, part)) for part in parts[::2]]
    return "".join(parts)
