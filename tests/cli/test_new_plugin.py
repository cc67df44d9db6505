"""convae-zoo new-plugin."""

from convae_zoo.cli import main


def test_it_prints_the_files_and_what_to_do_next(tmp_path, capsys):
    folder = tmp_path / "tiny"
    assert main(["new-plugin", "tiny-ae", str(folder), "--kind", "loss"]) == 0
    *paths, advice = capsys.readouterr().out.splitlines()
    assert sorted(paths) == sorted(str(p) for p in folder.rglob("*") if p.is_file())
    assert "convae-zoo verify --plugin tiny-ae" in advice


def test_a_wrong_call_is_one_line_with_status_2(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    for arguments in (
        ["tiny", str(tmp_path)],
        ["Tiny!", str(tmp_path / "new")],
        ["tiny", str(tmp_path / "new"), "--kind", "encodr"],
    ):
        assert main(["new-plugin", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new").exists()
