"""Writing the gallery's page."""

from pathlib import Path

from convae_zoo import files
from convae_zoo.errors import FileError, UsageError
from convae_zoo.visuals.gallery import Gallery, render

PAGE = "index.html"
"""The page's name in its folder."""

LARGEST_PAGE = 15 * 2**20
"""Maximum size of the page in bytes."""


def write_gallery(folder: str | Path, gallery: Gallery) -> Path:
    """Write the page into a folder, which is created if it is missing; return its path.

    Raises:
        UsageError: the page is too large, because too many pictures were given.
        FileError: the folder cannot be written.
    """
    page = render(gallery).encode()
    if len(page) > LARGEST_PAGE:
        raise UsageError(
            f"the page has {len(page) / 2**20:.1f} MiB, more than {LARGEST_PAGE / 2**20:g}; "
            "give fewer pictures"
        )
    path = Path(folder) / PAGE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    files.write_bytes(path, page)
    return path
