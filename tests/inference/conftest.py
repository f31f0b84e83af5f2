"""A small network of the kind that ends in global average pooling, for features, explanations and the guard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


def fit_last_layer(model, images: np.ndarray, labels: np.ndarray) -> None:
    """Fill the linear layer by logistic regression on the features of the untrained rest: seconds, and it works."""
    import keras
    from sklearn.linear_model import LogisticRegression

    from bloodcell.dataset import prepare_images

    pooled = keras.Model(model.input, model.get_layer("head_pool").output)
    features = np.asarray(pooled(prepare_images(images), training=False))
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=0.5, max_iter=500).fit((features - centre) / spread, labels)
    kernel = (fitted.coef_ / spread).T
    model.get_layer("logits").set_weights([kernel, fitted.intercept_ - centre @ kernel])


@pytest.fixture(scope="session")
def pooled_artifacts_folder(small_dataset_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An artifact of `hemanet_nano` that knows the small dataset, with its LiteRT form."""
    import keras

    from bloodcell.dataset import load_split
    from bloodcell.models import build_model
    from bloodcell.pipeline import attach_litert, publish_training
    from bloodcell.training import TrainingResult, recipe_for

    folder = tmp_path_factory.mktemp("pooled_artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOODCELL_DATA", str(small_dataset_file))
        patch.setenv("BLOODCELL_ARTIFACTS", str(folder))
        patch.setenv("BLOODCELL_CACHE", str(tmp_path_factory.mktemp("pooled_cache")))
        keras.utils.set_random_seed(0)
        model, train, val = build_model("hemanet_nano"), load_split("train"), load_split("val")
        fit_last_layer(model, train.images, train.labels)
        epoch = {"epoch": 1, "loss": 0.1, "accuracy": 1.0, "val_loss": 0.1, "val_accuracy": 1.0}
        history = [epoch | {"learning_rate": 1e-3, "seconds": 1.0}]
        result = TrainingResult(model, history, 1, 1.0, "processor", keras.backend.backend())
        recipe_name, recipe = recipe_for("hemanet_nano")
        attach_litert(publish_training("hemanet_nano", "artifact", recipe_name, recipe, 0, result, train, val))
        yield folder


@pytest.fixture
def pooled_artifacts(pooled_artifacts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small pooled artifact, found through BLOODCELL_ARTIFACTS. Read only: copy the folder before changing it."""
    monkeypatch.setenv("BLOODCELL_ARTIFACTS", str(pooled_artifacts_folder))
    return pooled_artifacts_folder


@pytest.fixture(scope="session")
def drawn_cells() -> np.ndarray:
    """Twelve drawn cells, (12, 64, 64, 3) uint8: a grainy violet nucleus in a pale body on warm ground."""
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[:64, :64]
    images = np.empty((12, 64, 64, 3))
    for image in images:
        row, column = generator.integers(26, 38, 2)
        distance = np.hypot(rows - row, columns - column)
        image[:] = (250, 226, 200)
        image[distance < 20] = (190, 160, 190)
        image[distance < 11] = (80, 40, 120)
        image += generator.normal(0, 6, image.shape)
    return np.clip(images, 0, 255).astype(np.uint8)
