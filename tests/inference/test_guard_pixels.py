"""What pixels are described by, how strange a description is, and pictures that show no cell."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bloodcell.inference.guard_density import Mixture, fit_mixture
from bloodcell.inference.guard_pixels import GROUPS, NUM_NUMBERS, describe_pixels
from bloodcell.inference.noncells import KINDS, draw_noncells
from bloodcell.inference.views import make_views


@pytest.fixture(scope="module")
def noncells() -> dict[str, np.ndarray]:
    return draw_noncells(4, seed=1)


def draw_cell(ground=(254, 228, 202), nucleus=(70, 30, 110), radius=12) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64] - 31.5
    image = np.empty((64, 64, 3), np.uint8)
    image[:] = ground
    image[np.hypot(rows, columns) < radius] = nucleus
    return image


def test_every_kind_is_drawn_and_equal_seeds_draw_equally(noncells):
    assert list(noncells) == list(KINDS)
    again, other = draw_noncells(4, seed=1), draw_noncells(4, seed=2)
    for kind, images in noncells.items():
        assert images.shape == (4, 64, 64, 3)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, again[kind])
        assert (images != other[kind]).any(), kind
    assert draw_noncells(0, seed=1)["noise"].shape == (0, 64, 64, 3)


def test_descriptions_are_finite_for_any_pixels(noncells):
    extremes = [np.full((64, 64, 3), value, np.uint8) for value in (0, 1, 128, 255)]
    images = np.concatenate([*noncells.values(), np.stack(extremes)])
    described = describe_pixels(images)
    assert described.numbers.shape == (len(images), NUM_NUMBERS)
    for values in vars(described).values():
        assert len(values) == len(images)
        assert np.isfinite(values).all()
    columns = sorted(column for first, last in GROUPS.values() for column in range(first, last))
    assert columns == list(range(NUM_NUMBERS))


def test_batches_change_nothing(noncells):
    images = np.concatenate(list(noncells.values()))
    np.testing.assert_allclose(describe_pixels(images, batch=7).numbers, describe_pixels(images).numbers, atol=1e-5)
    assert describe_pixels(images[:0]).numbers.shape == (0, NUM_NUMBERS)


def test_the_ground_and_the_nucleus_are_found_by_hand():
    described = describe_pixels(draw_cell()[None])
    np.testing.assert_allclose(described.ground[0], (254, 228, 202))
    expected = np.log10(np.array((254, 228, 202)) / np.array((70, 30, 110)))
    np.testing.assert_allclose(described.darkest[0], expected, rtol=1e-5)
    assert described.central[0] == pytest.approx((12 / 16) ** 2, abs=0.05)


def test_turning_and_mirroring_hardly_change_a_description(noncells):
    images = np.concatenate([noncells["drawn red cells"], draw_cell()[None]])
    original = describe_pixels(images).numbers
    for view in make_views(images):
        np.testing.assert_allclose(describe_pixels(np.ascontiguousarray(view)).numbers, original, atol=0.02)


def test_the_layout_does_not_see_the_stain():
    """The same cell in a paler stain on grey ground has the same layout and another stain."""
    first = describe_pixels(draw_cell()[None]).numbers[0]
    second = describe_pixels(draw_cell((200, 200, 200), (110, 90, 150))[None]).numbers[0]
    layout, stain = slice(*GROUPS["layout"]), slice(*GROUPS["stain"])
    np.testing.assert_allclose(first[layout], second[layout], atol=0.02)
    assert np.abs(first[stain] - second[stain]).max() > 0.2


def test_the_eight_views_are_the_symmetries_of_the_square():
    images = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    views = make_views(images)
    assert views.shape == (8, 2, 4, 4, 3)
    np.testing.assert_array_equal(views[0], images)
    assert len({view.tobytes() for view in views}) == 8
    expected = {images.tobytes(), images.transpose(0, 2, 1, 3).tobytes(), images[:, ::-1].tobytes()}
    assert expected <= {np.ascontiguousarray(view).tobytes() for view in views}


def test_scores_are_negative_log_densities():
    generator = np.random.default_rng(0)
    means, roots = generator.normal(size=(2, 3)), generator.normal(size=(2, 3, 3))
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    mixture = Mixture(np.zeros(3), np.ones(3), np.array([0.3, 0.7]), means, covariances)
    rows = generator.normal(size=(20, 3))

    def expected(part):
        densities = [
            weight * multivariate_normal(mean[part], covariance[part, part]).pdf(rows[:, part])
            for weight, mean, covariance in zip(mixture.weights, means, covariances, strict=True)
        ]
        return -np.log(sum(densities))

    np.testing.assert_allclose(mixture.score(rows), expected(slice(0, 3)))
    np.testing.assert_allclose(mixture.score_part(rows, slice(1, 3)), expected(slice(1, 3)))
    np.testing.assert_allclose(mixture.score_part(rows, slice(0, 2)), expected(slice(0, 2)))


def test_a_fitted_mixture_knows_two_groups_and_finds_the_rest_strange():
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(0, 1, (900, 4)), generator.normal(9, 1, (300, 4))])
    mixture = fit_mixture(rows)
    usual = np.quantile(mixture.score(rows), 0.999)
    between = np.full((1, 4), 4.5)
    assert mixture.score(between)[0] > usual + 5
    assert mixture.score(np.full((1, 4), 9.0))[0] < usual
    assert np.isfinite(mixture.score(np.full((1, 4), 1e9)))


def test_few_rows_fit_one_component():
    rows = np.random.default_rng(0).normal(size=(30, 12))
    rows[:, 3] = 7.0  # a number that never varies
    mixture = fit_mixture(rows)
    assert len(mixture.weights) == 1
    assert np.isfinite(mixture.score(rows)).all()
