"""The guard refuses what is no cell or unlike the training images, says why, and depends on model and image alone."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from bloodcell.artifact import load_artifact
from bloodcell.dataset import CLASS_NAMES, load_split
from bloodcell.errors import ArtifactDamagedError, EngineError
from bloodcell.inference import load_engine, read_image
from bloodcell.inference.classifier import classify_files, classify_image, compute_probabilities
from bloodcell.inference.corruptions import CORRUPTIONS, corrupt_images
from bloodcell.inference.guard import (
    GuardParameters,
    has_guard,
    load_guard,
    parse_parameters,
    serialize_parameters,
)
from bloodcell.inference.guard_fit import fit_guard, fit_parameters
from bloodcell.inference.guard_pixels import describe_pixels
from bloodcell.inference.guard_words import explain_pixels, is_no_cell, list_quantities
from bloodcell.inference.noncells import draw_noncells


@pytest.fixture(scope="module")
def guarded_folder(pooled_artifacts_folder, small_dataset_file, tmp_path_factory):
    """A copy of the pooled artifact with a guard fitted on the small dataset."""
    folder = tmp_path_factory.mktemp("guarded") / "artifacts"
    shutil.copytree(pooled_artifacts_folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOODCELL_DATA", str(small_dataset_file))
        fit_guard(load_artifact("hemanet_nano", folder), load_split("train"), load_split("val"))
    return folder


@pytest.fixture
def guard(guarded_folder):
    artifact = load_artifact("hemanet_nano", guarded_folder)
    return load_guard(artifact, load_engine(artifact))


@pytest.fixture
def cells(small_dataset) -> np.ndarray:
    return load_split("test").images


def encode(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_guard_is_a_listed_file_of_its_artifact(guarded_folder, pooled_artifacts_folder):
    assert has_guard(load_artifact("hemanet_nano", guarded_folder))
    plain = load_artifact("hemanet_nano", pooled_artifacts_folder)
    assert not has_guard(plain)
    assert load_guard(plain, load_engine(plain)) is None


def test_cells_pass_and_pictures_without_a_cell_do_not(guard, cells):
    statuses = [one.status for one in guard.examine(cells)]
    assert sum(status in ("ok", "uncertain") for status in statuses) >= 0.8 * len(cells)
    for kind, images in draw_noncells(5, seed=3).items():
        for examination in guard.examine(images):
            assert examination.status in ("unfamiliar", "not_a_cell"), kind
            assert examination.possible == ()
            assert examination.reasons
            assert examination.strangeness[0] > 1


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((64, 64, 3), (254, 228, 202), np.uint8), "nearly of one colour"),
        (np.full((64, 64, 3), 3, np.uint8), "nearly of one colour"),
        (np.random.default_rng(0).integers(0, 60, (64, 64, 3)).astype(np.uint8), "dark all over"),
    ],
)
def test_pictures_of_nothing_are_no_cells_and_say_so(guard, pixels, words):
    (examination,) = guard.examine(pixels[None])
    assert examination.status == "not_a_cell"
    assert words in examination.reasons[0]


def test_a_foreign_stain_is_refused(guard, cells):
    for name in ("darker", "brighter", "contrast down"):
        assert {one.status for one in guard.examine(corrupt_images(cells, name, 2))} <= {"unfamiliar", "not_a_cell"}


@pytest.mark.parametrize(
    ("name", "part", "words"),
    [
        ("darker", 0, "the ground is darker"),
        ("contrast down", 0, "the darkest parts are paler"),
        ("blur", 2, "less sharp"),
        ("pixelation", 2, "less sharp"),
    ],
)
def test_refusals_say_what_is_strange(drawn_cells, name, part, words):
    """Against what is usual in the cells as drawn, the spoiled ones are called what was done to them."""
    quantities = list_quantities(describe_pixels(drawn_cells))
    usual = np.stack([quantities.min(axis=0), quantities.max(axis=0)], axis=1)
    shares = np.full(3, 0.5)
    shares[part] = 2.0
    spoiled = describe_pixels(corrupt_images(drawn_cells, name, 4))
    for index in range(len(drawn_cells)):
        reasons = explain_pixels(spoiled, index, shares, usual, no_cell=False)
        assert len(reasons) == 1
        assert words in reasons[0]
    (together,) = explain_pixels(spoiled, 0, np.full(3, 0.5), usual, no_cell=False)
    assert "not in this combination" in together


def test_every_image_is_judged_by_itself(guard, cells):
    """In any company and order the same: each examination depends on the image alone."""
    mixed = np.concatenate([cells[:5], draw_noncells(1, seed=4)["noise"], cells[5:8]])
    together = guard.examine(mixed)
    for image, expected in zip(mixed, together, strict=True):
        (alone,) = guard.examine(image[None])
        assert (alone.status, alone.possible, alone.reasons) == (expected.status, expected.possible, expected.reasons)
        for first, second in zip(alone.strangeness, expected.strangeness, strict=True):
            assert first == (None if second is None else pytest.approx(second, rel=1e-3))
    assert guard.examine(cells[:0]) == []


def test_a_wider_coverage_leaves_more_types_possible(guard, cells):
    def count(coverage):
        examined = guard.examine(cells, coverage)
        return sum(len(one.possible) for one in examined if not any("No type" in reason for reason in one.reasons))

    sizes = [count(coverage) for coverage in (0.5, 0.8, 0.95)]
    assert sizes[0] <= sizes[1] <= sizes[2]
    with pytest.raises(ValueError, match="coverage"):
        guard.examine(cells[:1], 1.0)


@pytest.fixture
def doubtful(guard):
    """A guard whose network was hardly ever sure on val: nearly every type stays possible."""
    values = vars(guard.parameters) | {"true_scores": np.full(200, 1e-7)}
    return type(guard)(GuardParameters(**values), guard.artifact, guard.engine)


def test_uncertain_means_several_types_and_lists_them(doubtful, cells):
    examined = doubtful.examine(cells, 0.97)
    assert any(one.status == "uncertain" for one in examined)
    for one in examined:
        assert (one.status == "uncertain") == (len(one.possible) > 1)
        if one.status == "uncertain":
            assert all(CLASS_NAMES[index] in one.reasons[0] for index in one.possible)
            assert "97 % coverage" in one.reasons[0]


def test_a_cell_of_which_no_type_is_probable_enough_is_uncertain(guard, cells):
    """The lower the coverage, the higher the probability that it asks for: what falls short is not answered."""
    values = vars(guard.parameters) | {"true_scores": np.linspace(0.99999, 1, 200)}
    sure = type(guard)(GuardParameters(**values), guard.artifact, guard.engine)
    examined = [one for one in sure.examine(cells, 0.9) if one.possible]
    unreached = [one for one in examined if one.reasons]
    assert unreached and len(unreached) < len(examined), "some reach it, others do not"
    for one in unreached:
        assert one.status == "uncertain" and len(one.possible) in (2, 3)
        assert "No type is as probable as 90 % coverage asks for (100.0 %)" in one.reasons[0]
        assert CLASS_NAMES[one.possible[0]] in one.reasons[0]
    image = read_image(encode(cells[[one.status for one in sure.examine(cells, 0.9)].index("uncertain")]), "a.png")
    answer = classify_image(image, sure.artifact, sure.engine, sure, 0.9)
    assert answer.label is None and answer.probabilities is not None and len(answer.prediction_set) > 1


def test_features_far_from_every_class_are_unfamiliar(guard, cells):
    values = vars(guard.parameters) | {"feature_limit": 1e-6}
    strict = type(guard)(GuardParameters(**values), guard.artifact, guard.engine)
    examined = [one for one in strict.examine(cells) if one.strangeness[0] <= 1]
    assert examined
    for one in examined:
        assert one.status == "unfamiliar"
        assert "unlike all eight types" in one.reasons[0]


def test_parameters_survive_storing(guard, cells):
    data = serialize_parameters(guard.parameters)
    again = type(guard)(parse_parameters(data), guard.artifact, guard.engine)
    assert again.examine(cells) == guard.examine(cells)
    with pytest.raises(KeyError):
        parse_parameters(data.replace(b"class_means", b"class_moans"))


def test_distances_are_mahalanobis(small_dataset):
    """Against scipy's, with the covariance that was pooled over classes."""
    from scipy.spatial.distance import mahalanobis

    train, generator = load_split("train"), np.random.default_rng(0)
    features = (generator.normal(size=(train.num_images, 4)) * (1, 3, 0.5, 2) + train.labels[:, None]).astype("float32")
    parameters = fit_parameters(
        train.images, train.labels, features, train.images[:20], features[:20], np.linspace(0, 1, 20)
    )
    means = np.stack([features[train.labels == label].mean(axis=0) for label in range(8)]).astype(float)
    centred = features - means[train.labels]
    covariance = centred.T @ centred / len(features)
    covariance += 1e-3 * np.trace(covariance) / 4 * np.eye(4)
    expected = [min(mahalanobis(row, mean, np.linalg.inv(covariance)) for mean in means) for row in features[:10]]
    np.testing.assert_allclose(parameters.measure_distances(features[:10]), expected, rtol=1e-4)


def test_a_network_without_pooled_features_is_guarded_by_pixels_and_sets(small_artifacts, small_dataset, tmp_path):
    shutil.copytree(small_artifacts, tmp_path / "shelf")
    fit_guard(load_artifact("cnn_3", tmp_path / "shelf"), load_split("train"), load_split("val"))
    artifact = load_artifact("cnn_3", tmp_path / "shelf")
    guard = load_guard(artifact, load_engine(artifact))
    assert not guard.parameters.knows_features
    for one in guard.examine(load_split("test").images):
        assert one.strangeness[1] is None
        assert (one.status in ("ok", "uncertain")) == (one.strangeness[0] <= 1)
    for one in guard.examine(draw_noncells(5, seed=3)["noise"]):
        assert one.status in ("unfamiliar", "not_a_cell")


def test_a_form_from_before_features_is_replaced(guarded_folder, small_artifacts, small_dataset, tmp_path):
    """An artifact whose LiteRT form gives logits alone gets a new form with its guard."""
    from bloodcell.artifact import LITERT_FILE, add_file

    shutil.copytree(guarded_folder, tmp_path / "shelf")
    artifact = load_artifact("hemanet_nano", tmp_path / "shelf")
    old = (small_artifacts / "cnn_3" / LITERT_FILE).read_bytes()  # any form of logits alone stands for an old one
    artifact = add_file(artifact, LITERT_FILE, old)
    with pytest.raises(EngineError, match="measure guard"):
        load_guard(artifact, load_engine(artifact)).examine(load_split("test").images[:2])
    guard = fit_guard(artifact, load_split("train"), load_split("val"))
    assert guard.engine.gives_features
    assert load_engine(load_artifact("hemanet_nano", tmp_path / "shelf")).gives_features


def test_a_damaged_guard_is_named(guarded_folder, tmp_path, monkeypatch):
    artifact = load_artifact("hemanet_nano", guarded_folder)
    monkeypatch.setattr("bloodcell.inference.guard.parse_parameters", lambda data: parse_parameters(data[:100]))
    with pytest.raises(ArtifactDamagedError, match=r"guard\.npz cannot be read"):
        load_guard(artifact, load_engine(artifact))


def test_the_classifier_refuses_before_it_names(guard, cells, tmp_path):
    """Answers carry the guard's status and reasons; a refused image has no label and no probability."""
    noise = draw_noncells(1, seed=5)["noise"][0]
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for path, pixels in zip(paths, (*cells[:2], noise), strict=False):
        path.write_bytes(encode(pixels))
    paths[3].write_text("words")
    answers = list(classify_files(paths, guard.artifact, guard.engine, guard))
    examined = guard.examine(np.stack([*cells[:2], noise]))
    assert [answer.status for answer in answers] == [*(one.status for one in examined), "error"]
    assert (answers[2].label, answers[2].probability, answers[2].probabilities) == (None, None, None)
    assert answers[2].prediction_set == ()
    assert answers[2].reasons == examined[2].reasons
    for answer, one, image in zip(answers[:2], examined, cells, strict=False):
        y_score = compute_probabilities(guard.artifact, guard.engine, image[None])[0]
        assert answer.label == (CLASS_NAMES[y_score.argmax()] if one.status == "ok" else None)
        if one.possible:
            np.testing.assert_allclose(list(answer.probabilities.values()), y_score, atol=1e-6)
            assert answer.prediction_set == tuple(CLASS_NAMES[index] for index in one.possible)


def test_another_model_answers_under_the_same_guard(guard, cells, small_artifacts):
    """The refusal is the default model's, the probabilities are those of the model that was asked."""
    asked = load_artifact("cnn_3")
    engine = load_engine(asked)
    noise = draw_noncells(1, seed=5)["noise"][0]
    assert classify_image(read_image(encode(noise), "a.png"), asked, engine, guard).status == "not_a_cell"
    assert classify_image(read_image(encode(noise), "a.png"), asked, engine).status == "ok"
    examined = guard.examine(cells, 0.9)
    accepted = next(image for image, one in zip(cells, examined, strict=True) if one.status == "ok")
    answer = classify_image(read_image(encode(accepted), "b.png"), asked, engine, guard, 0.9)
    assert (answer.status, answer.model) == ("ok", "cnn_3")
    expected = compute_probabilities(asked, engine, accepted[None])[0]
    np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-6)


def test_uncertain_answers_keep_their_probabilities_and_have_no_label(doubtful, cells):
    index = next(i for i, one in enumerate(doubtful.examine(cells)) if one.status == "uncertain")
    image = read_image(encode(cells[index]), "a.png")
    answer = classify_image(image, doubtful.artifact, doubtful.engine, doubtful)
    assert (answer.status, answer.label, answer.probability) == ("uncertain", None, None)
    assert answer.probabilities is not None
    assert len(answer.prediction_set) > 1


def test_is_no_cell_names_pictures_and_spares_spoiled_cells(drawn_cells):
    usual = np.array([1.0, 1.0, 1.0])
    for name in CORRUPTIONS:
        spoiled = describe_pixels(corrupt_images(drawn_cells, name, 3))
        assert not any(is_no_cell(spoiled, index, usual) for index in range(len(drawn_cells))), name
        assert is_no_cell(spoiled, 0, np.array([1.0, 1.6, 1.0]))
    empty = describe_pixels(draw_noncells(10, seed=6)["empty ground"])
    assert all(is_no_cell(empty, index, usual) for index in range(10))
