"""What the gallery collects from the installed models, and how it stands plugins that misbehave."""

import html
import re
from html.parser import HTMLParser

import attrs
import pytest
import torch

import convae_zoo as zoo
from convae_zoo.cli import main
from convae_zoo.data import ImageSet
from convae_zoo.data.image_file import read_image
from convae_zoo.errors import UsageError
from convae_zoo.tasks.gallery import write as writing
from convae_zoo.tasks.gallery import write_gallery
from convae_zoo.tasks.gallery.boards import boards, spec_of
from convae_zoo.tasks.gallery.build import reconstructions
from convae_zoo.tasks.gallery.latents import map_latents


class Tags(HTMLParser):
    """Collects the tags of a page, and every address in it."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in {"src", "href", "srcset", "data", "action"}]


def test_a_picture_of_any_size_goes_through_every_model_whole(gallery, photo):
    (scene, _) = gallery.scenes
    made = {each.model: each.is_baseline for each in scene.reconstructions}
    assert made == {"plain.one": False, "plain.two": False, "dreams.one": False, "PCA-8": True}
    assert {each.image.shape for each in scene.reconstructions} == {(3, 50, 70)}
    assert torch.equal(scene.original, read_image(photo))
    psnrs = [each.psnr for each in scene.reconstructions]
    assert psnrs == sorted(psnrs, reverse=True)
    assert not scene.best.is_baseline


def test_a_model_whose_latent_holds_the_image_is_not_among_the_reconstructions():
    config = {"width": 8, "image_size": 16}
    model = zoo.compose(
        encoder="unet", decoder="unet", encoder_config=config, decoder_config=config
    )
    picture = torch.zeros(3, 20, 20, dtype=torch.uint8)
    assert reconstructions("d", "photos", model, [("p", picture)]) == []


def test_a_latent_of_one_float_is_placed_too():
    config = {"width": 2, "latent_dim": 1, "image_size": 16}
    model = zoo.compose(
        encoder="convae", decoder="convae", encoder_config=config, decoder_config=config
    )
    images = torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8)
    placed = map_latents("one", model, ImageSet(name="noise", split="val", images=images))
    assert placed.points.shape == (5, 2)
    assert placed.points.isfinite().all()


def test_weights_that_do_not_load_are_left_out_and_named(gallery):
    (line,) = gallery.left_out
    assert line.startswith("plain.cut: ")
    assert "sha256" in line


def test_the_leaderboard_is_measured_where_the_data_is_at_hand(gallery):
    (found,) = gallery.boards
    assert found.measured
    assert len(found.board.rows) == 3
    measured = zoo.evaluate(zoo.load_model("plain.one"), "waves", device="cpu")
    row = next(row for row in found.board.rows if row.name == "plain.one")
    assert row.metrics.mse == pytest.approx(measured.model.mse)
    assert len(found.board.pca) > 1


def test_without_measuring_the_cards_are_quoted(rogue_registry):  # noqa: ARG001 - it must be in place
    models = {"plain.one": zoo.load_model("plain.one")}
    weights = {"plain.one": spec_of("plain.one")}
    (found,) = boards(models, weights, measure=False, device="cpu")
    assert not found.measured
    assert found.board.rows[0].metrics.mse == 0.01
    assert found.board.pca == ()


def test_cards_that_state_figures_of_different_datasets_are_not_in_one_leaderboard(
    rogue_registry,  # noqa: ARG001 - it must be in place
):
    model, spec = zoo.load_model("plain.one"), spec_of("plain.one")
    other = attrs.evolve(spec, card={"dataset": {"name": "old-waves"}})
    found = boards(
        {"one": model, "two": model}, {"one": spec, "two": other}, measure=False, device="cpu"
    )
    assert [board.board.dataset for board in found] == ["old-waves", "waves"]
    assert [[row.name for row in board.board.rows] for board in found] == [["two"], ["one"]]


def test_a_model_with_a_prior_has_samples_and_the_best_one_a_map(gallery):
    assert [each.model for each in gallery.samples] == ["dreams.one"]
    assert gallery.latent_map.points.shape == (30, 2)
    assert gallery.latent_map.points.min() >= 0
    assert gallery.latent_map.points.max() <= 1


def test_a_model_trained_with_a_corruption_removes_noise_from_the_pictures(gallery):
    assert [each.after_label for each in gallery.denoised] == ["dreams.one", "dreams.one"]
    assert gallery.denoised[0].after.shape == gallery.denoised[0].before.shape == (3, 50, 70)
    assert re.fullmatch(r"\d+\.\d\d dB → \d+\.\d\d dB", gallery.denoised[0].note)


def test_a_detector_lights_up_some_of_each_kind_of_defect(gallery):
    (found,) = gallery.heatmaps
    assert {note.partition(":")[0] for note in found.notes} == {
        "good",
        "blot",
        "foreign",
        "hole",
        "scratch",
    }
    assert len(found.pairs) == len(found.notes)
    assert "of the threshold, " in found.notes[0]


def test_text_of_plugins_and_files_is_shown_as_text(page):
    text = page.read_text(encoding="utf-8")
    parsed = Tags()
    parsed.feed(text)
    assert parsed.tags.count("script") == 1
    assert "b>photo" not in text.replace("&lt;b&gt;photo", "")
    shown = html.unescape(re.sub(r"<[^>]+>", "", text))
    for where in ("plain ", "dreams ", "dist ", "ValueError: "):
        assert f"{where}<script>document.title" in shown


def test_the_page_needs_nothing_from_outside(page):
    text = page.read_text(encoding="utf-8")
    parsed = Tags()
    parsed.feed(text)
    assert parsed.addresses
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in parsed.addresses)
    assert set(re.findall(r"url\((.{5})", text)) == {"data:"}
    assert "default-src 'none'" in text
    assert "@import" not in text


def test_a_page_that_grows_too_large_is_refused(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "LARGEST_PAGE", 1000)
    with pytest.raises(UsageError, match=r"MiB, more than .*; give fewer pictures"):
        write_gallery(tmp_path / "new", gallery)
    assert not (tmp_path / "new").exists()


def test_the_command_writes_the_page_and_names_what_was_left_out(
    rogue_registry,  # noqa: ARG001 - it must be in place
    photo,
    tmp_path,
    capsys,
):
    assert main(["gallery", str(photo), "--no-measure", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert out == f"page  {tmp_path / 'out' / 'index.html'}\n"
    assert "left out  plain.cut: " in err
    assert (tmp_path / "out" / "index.html").stat().st_size > 10_000
