"""Files are written whole or not at all."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from convae_zoo.errors import FileError
from convae_zoo.files import atomic_path, write_bytes, write_text


def _names(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir()]


def test_text_and_bytes_come_back(tmp_path):
    write_text(tmp_path / "a.txt", "zoö\n")
    write_bytes(tmp_path / "b.bin", b"\0\1", memoryview(b"\2"))
    assert (tmp_path / "a.txt").read_bytes() == "zoö\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\0\1\2"


def test_the_temporary_file_is_hidden_beside_the_target_and_with_the_same_suffix(tmp_path):
    with atomic_path(tmp_path / "grid.png") as temporary:
        temporary.write_bytes(b"x")
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".png"
        assert not (tmp_path / "grid.png").exists()
    assert _names(tmp_path) == ["grid.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:  # noqa: PT012 - the block is the case
        temporary.write_text("half of the n")
        raise error
    assert target.read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


def test_writing_to_a_link_writes_its_target(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    write_text(tmp_path / "link.txt", "x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "x"


def test_the_longest_legal_name_can_be_written(tmp_path):
    target = tmp_path / ("n" * 251 + ".txt")
    write_text(target, "x")
    assert target.read_text() == "x"


def _assert_refused(path: Path, reason: str) -> None:
    with pytest.raises(FileError) as caught:
        write_text(path, "x")
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    _assert_refused(tmp_path / "no" / "a.txt", os.strerror(errno.ENOENT))


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    _assert_refused(tmp_path / "file" / "a.txt", os.strerror(errno.ENOTDIR))


def test_a_name_with_a_nul_is_refused(tmp_path):
    with pytest.raises(FileError, match="not a valid file name"):
        write_text(tmp_path / "a\0b.txt", "x")


def test_a_folder_at_the_path_is_refused(tmp_path):
    (tmp_path / "a.txt").mkdir()
    _assert_refused(tmp_path / "a.txt", "it is a folder or a device")


def test_a_device_is_never_replaced():
    _assert_refused(Path("/dev/null"), "it is a folder or a device")
    assert Path("/dev/null").is_char_device()


def test_a_name_too_long_is_refused(tmp_path):
    _assert_refused(tmp_path / ("n" * 300), os.strerror(errno.ENAMETOOLONG))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    _assert_refused(tmp_path / "a.txt", os.strerror(errno.EACCES))


def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(FileError, match=os.strerror(errno.EFBIG)) as caught:
            write_bytes(target, bytes(1 << 16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(target) in str(caught.value)
    assert target.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def test_an_error_about_another_file_is_left_as_it_is(tmp_path):
    other = tmp_path / "missing"
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_bytes(other.read_bytes())


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    code = (
        "import os, sys, signal\n"
        "from convae_zoo.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_writing_files_needs_no_torch():
    code = "import sys, convae_zoo.files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
