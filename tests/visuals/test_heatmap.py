"""Heatmaps: what is normal keeps its look, what is anomalous is coloured and outlined."""

import torch

from convae_zoo.visuals.heatmap import draw_heatmap

LEVEL, THRESHOLD = 1.0, 3.0


def drawn(values, channels=1):
    picture = torch.full((channels, *values.shape), 120, dtype=torch.uint8)
    return draw_heatmap(picture, values, LEVEL, THRESHOLD)


def test_a_normal_map_leaves_a_grey_picture_as_it_is():
    for channels in (1, 3):
        found = drawn(torch.full((200, 160), LEVEL), channels)
        assert found.dtype == torch.uint8
        assert (found == 120).all()
        assert found.shape == (3, 200, 160)


def test_above_the_threshold_a_picture_is_red_within_an_outline():
    values = torch.full((200, 200), LEVEL)
    values[50:80, 60:90] = 4 * THRESHOLD
    found = drawn(values)
    red, green, _ = found.int()
    assert (red - green > 80)[50:80, 60:90].all()
    assert (found[:, 49, 60:90] == torch.tensor([[0], [229], [255]])).all()
    outside = torch.ones(200, 200, dtype=torch.bool)
    outside[49:81, 59:91] = False
    assert (found[:, outside] == 120).all()


def test_colour_grows_with_the_map():
    values = torch.linspace(0, 6, 200).expand(160, 200)
    colour = (drawn(values)[0].int() - drawn(values)[2].int())[80]
    inside = values[80] < THRESHOLD - 0.1
    assert (colour[inside].diff() >= 0).all()
    assert colour[inside][-1] > 30
    assert (colour[values[80] <= LEVEL] == 0).all()


def test_small_pictures_are_enlarged_by_a_whole_factor():
    assert drawn(torch.ones(28, 28)).shape == (3, 168, 168)
    assert drawn(torch.ones(1, 1)).shape == (3, 160, 160)


def test_below_a_threshold_under_the_level_nothing_is_coloured():
    values = torch.linspace(0, 6, 200).expand(160, 200)
    found = draw_heatmap(torch.full((1, 160, 200), 120, dtype=torch.uint8), values, 5.0, THRESHOLD)
    coloured = (found[0].int() - found[2].int())[80] > 0
    above = values[80] > THRESHOLD
    assert (coloured == above).all()


def test_a_threshold_at_the_level_is_drawn_without_a_division_by_zero():
    found = draw_heatmap(
        torch.zeros(1, 160, 160, dtype=torch.uint8), torch.ones(160, 160), 1.0, 1.0
    )
    assert (found == 0).all()
