from pathlib import Path

import pytest

from convae_zoo.data.listing import find_images, list_images
from convae_zoo.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_image_files_are_listed_by_name_whatever_the_ending_s_case(tmp_path: Path):
    touch(tmp_path, "b/2.PNG", "a.jpeg", "b/1.webp", "notes.txt", ".hidden.png", ".git/x.png")
    assert [name for name, _ in list_images(tmp_path)] == ["a.jpeg", "b/1.webp", "b/2.PNG"]


def test_a_loop_of_links_is_harmless(tmp_path: Path):
    touch(tmp_path, "a.png")
    (tmp_path / "again").symlink_to(tmp_path)
    assert [name for name, _ in list_images(tmp_path)] == ["a.png"]


def test_a_folder_that_is_missing_a_file_or_without_images_is_refused(tmp_path: Path):
    touch(tmp_path, "none/notes.txt")
    for name, reason in {
        "missing": "does not exist",
        "none/notes.txt": "is a file, not a folder",
        "none": "holds no images",
    }.items():
        with pytest.raises(DataError, match=reason):
            list_images(tmp_path / name)


def test_files_and_folders_can_be_given_together_but_not_two_of_one_name(tmp_path: Path):
    touch(tmp_path, "one/a.png", "two/b.png", "two/a.png")
    found = find_images([tmp_path / "one", tmp_path / "two" / "b.png"])
    assert [name for name, _ in found] == ["a.png", "b.png"]
    with pytest.raises(DataError, match="have the same name"):
        find_images([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(DataError, match="no image file or folder"):
        find_images([tmp_path / "three"])
