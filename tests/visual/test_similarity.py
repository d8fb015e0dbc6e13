from __future__ import annotations

import numpy as np
import pytest

from docrag.geometry import Box
from docrag.late_interaction.similarity import heat, hot_boxes, similarity_maps, snapped


def test_a_map_holds_the_product_of_every_word_and_patch():
    query = np.array([[1, 0], [0, 1]], np.float32)
    vectors = np.array([[0.1, 0.9], [0.5, 0.5], [1.0, 0.0]], np.float32)
    maps = similarity_maps(query, vectors, np.array([[2, 0], [-1, 1]], np.int32))
    np.testing.assert_allclose(maps[0], [[1.0, 0.1], [np.nan, 0.5]])
    np.testing.assert_allclose(maps[1], [[0.0, 0.9], [np.nan, 0.5]])


def test_heat_is_the_mean_over_words_above_their_medians_scaled_to_one():
    maps = np.array([[[0.0, 0.0, 0.6]], [[0.5, 0.5, 0.9]]], np.float32)
    np.testing.assert_allclose(heat(maps), [[0, 0, 1]], atol=1e-6)
    assert heat(np.full((2, 3, 3), 0.4, np.float32)).max() == 0
    assert heat(np.array([[[np.nan, 1.0, 0.0]]], np.float32))[0, 0] == 0


def test_boxes_surround_touching_hot_patches_the_hottest_first():
    warm = np.zeros((4, 5), np.float32)
    warm[0, 0] = 0.6
    warm[2, 3] = warm[3, 4] = 1.0  # touch by a corner
    assert hot_boxes(warm, 100, 80) == [Box(60, 40, 100, 80), Box(0, 0, 20, 20)]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_even_map_points_nowhere(value: float):
    assert hot_boxes(np.full((3, 3), value, np.float32), 90, 90) == []


def test_a_box_inside_a_figure_becomes_the_figure_once():
    figure = Box(10, 10, 60, 60)
    boxes = [Box(12, 12, 20, 20), Box(30, 30, 40, 40), Box(55, 55, 80, 80)]
    assert snapped(boxes, [figure]) == [figure, Box(55, 55, 80, 80)]
    assert snapped(boxes[:1], []) == boxes[:1]
