"""What sees next to nothing of a video."""

import numpy as np
import pytest

from jaxvlm.evaluation import trivial


def test_the_frame_that_differs_is_far_from_the_median():
    frames = np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 5.0], [1.0, 0.0]])
    distance = trivial.median_distance(frames)  # the median is (1, 0)
    np.testing.assert_allclose(distance, [0, 0, 1, 0], atol=1e-6)
    with pytest.raises(ValueError, match="no frame"):
        trivial.median_distance(np.zeros((0, 2)))


def test_pixels_are_compared_with_those_a_lag_before():
    frames = [np.full((2, 2, 3), shade, np.uint8) for shade in (10, 20, 40, 250)]
    np.testing.assert_allclose(trivial.lagged_pixel_change(iter(frames), 1), [0, 10, 20, 210])
    np.testing.assert_allclose(trivial.lagged_pixel_change(iter(frames), 2), [0, 0, 30, 230])
    with pytest.raises(ValueError, match="lag 0"):
        trivial.lagged_pixel_change(frames, 0)
