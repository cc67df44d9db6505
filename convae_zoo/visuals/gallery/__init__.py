"""The gallery: one self-contained HTML page of what is installed and how well it works.

No address outside the page: style, script and pictures are inline, and the page's own content
security policy forbids any request. All text of plugins is escaped by the templates.
"""

from convae_zoo.visuals.gallery.content import (
    BeforeAfter,
    Board,
    Gallery,
    Heatmaps,
    LatentMap,
    ModelCard,
    PluginRow,
    Reconstruction,
    Samples,
    Scene,
)
from convae_zoo.visuals.gallery.page import render

__all__ = [
    "BeforeAfter",
    "Board",
    "Gallery",
    "Heatmaps",
    "LatentMap",
    "ModelCard",
    "PluginRow",
    "Reconstruction",
    "Samples",
    "Scene",
    "render",
]
