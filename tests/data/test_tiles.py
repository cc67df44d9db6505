"""Images of any size through functions of tiles of one size."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convae_zoo.data.tiles import Tiles, map_tiles
from convae_zoo.errors import UsageError

LENGTHS = st.integers(1, 90)
SIDES = st.integers(8, 40)


@st.composite
def tilings(draw):
    """A tile, an overlap, and the size of an image: a hundred tiles at most."""
    tile = draw(SIDES), draw(SIDES)
    overlap = draw(st.integers(0, min(tile) // 2))
    return tile, overlap, (draw(LENGTHS), draw(LENGTHS))


@settings(deadline=None)
@given(tilings(), st.sampled_from((1, 3)), st.integers(1, 7))
@example(((32, 32), 16, (1, 1)), 3, 4)
@example(((32, 32), 16, (1, 5000)), 3, 64)
@example(((1, 1), 0, (3, 2)), 1, 5)
@example(((16, 12), 11, (17, 30)), 1, 5)
@example(((512, 512), 64, (300, 451)), 3, 1)
def test_an_identity_gives_every_uint8_image_back_exactly(tiling, channels, batch_size):
    tile, overlap, size = tiling
    images = torch.randint(0, 256, (2, channels, *size), dtype=torch.uint8)
    sizes = set()

    def identity(tiles):
        sizes.add((len(tiles) <= batch_size, tiles.shape[1:], tiles.dtype))
        return tiles.float()

    output = map_tiles(images, identity, tile, overlap=overlap, batch_size=batch_size)
    assert torch.equal(output.round().to(torch.uint8), images)
    assert sizes == {(True, (channels, *tile), torch.uint8)}


@settings(deadline=None)
@given(tilings())
@example(((32, 32), 16, (1, 1)))
def test_a_map_of_each_tile_becomes_a_map_of_each_image(tiling):
    tile, overlap, size = tiling
    images = torch.rand(2, 3, *size)
    maps = map_tiles(images, lambda t: t.mean(1), tile, overlap=overlap, batch_size=3)
    torch.testing.assert_close(maps, images.mean(1))


@given(tilings())
def test_tiles_cover_each_pixel_with_weights_that_add_up_to_one(tiling):
    (size, _), overlap, (length, _) = tiling
    tiles = Tiles(length, size, overlap)
    total = torch.zeros(length, dtype=torch.float64)
    for start, weights in zip(tiles.starts, tiles.weights(), strict=True):
        assert (weights > 0).all()
        total[start : start + len(weights)] += weights
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-6, rtol=0)
    shared = [a + size - b for a, b in itertools.pairwise(tiles.starts)]
    assert all(overlap <= pixels < size for pixels in shared)
    assert tiles.starts[-1] == max(0, length - size)


def test_tiles_that_disagree_leave_no_seam():
    levels = iter(range(100))
    step = map_tiles(
        torch.zeros(1, 1, 64, 400),
        lambda tiles: torch.full_like(tiles, float(next(levels) % 2)),
        (64, 64),
        overlap=32,
        batch_size=1,
    )
    assert step.std() > 0.3
    assert step.diff(dim=-1).abs().max() < 0.06  # a seam would be a step of 1


def test_an_image_smaller_than_a_tile_is_continued_by_reflection():
    seen = []
    images = torch.arange(3).reshape(1, 1, 1, 3)
    map_tiles(images, lambda t: (seen.append(t), t.float())[1], (2, 8), overlap=0, batch_size=1)
    assert seen[0].tolist() == [[[[0, 1, 2, 1, 0, 1, 2, 1]] * 2]]


def test_progress_is_told_after_each_batch():
    told = []
    images = torch.zeros(2, 1, 8, 12)
    map_tiles(
        images,
        lambda t: t,
        (8, 8),
        overlap=4,
        batch_size=3,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("images", "overlap", "message"),
    [
        (torch.zeros(1, 3, 0, 4), 1, "without pixels"),
        (torch.zeros(0, 3, 4, 4), 1, "no images"),
        (torch.zeros(1, 3, 4, 4), 2, "must overlap by 0 to 1 pixels, got 2"),
        (torch.zeros(1, 3, 4, 4), -1, "got -1"),
    ],
)
def test_what_cannot_be_tiled_is_refused(images, overlap, message):
    with pytest.raises(UsageError, match=message):
        map_tiles(images, lambda t: t, (2, 2), overlap=overlap, batch_size=1)
