"""What becomes of a type that a network has never seen: one type is left out of train and val, and asked about in test.

The eight types are all that the data know, and none of them is a blast. Leaving out each in turn shows how often the
guard of a network notices a type it was never shown, and how often it calls it by a familiar name.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bloodcell.artifact import Artifact
from bloodcell.dataset import CLASS_NAMES, Split, prepare_images
from bloodcell.inference.convert import answering_model, convert_model
from bloodcell.inference.engine import Engine
from bloodcell.inference.guard import Guard, GuardParameters
from bloodcell.inference.guard_fit import compute_features, fit_parameters
from bloodcell.inference.trust import count_statuses, share
from bloodcell.inference.views import compute_view_probabilities

if TYPE_CHECKING:
    import keras


def leave_out(split: Split, label: int) -> Split:
    """Return a split without one class; its identity says so, so that no training is continued on other data."""
    kept = split.labels != label
    name = CLASS_NAMES[label]
    identity = dataclasses.replace(
        split.identity, md5=f"{split.identity.md5} without {name}", label=f"{split.identity.label}, without {name}"
    )
    return Split(split.name, split.images[kept], split.labels[kept], identity)


def measure_left_out(
    model: "keras.Model", run: Artifact, label: int, train: Split, val: Split, test: Split
) -> dict[str, Any]:
    """Return what a network that was trained without one class, under its own guard, makes of test.

    Args:
        model: The trained network; TensorFlow is its backend.
        run: What was stored of its training: class names and temperature.
        label: The class that was left out.
        train, val: Without that class; the guard is fitted on them.
        test: With it.
    """
    with tempfile.TemporaryDirectory() as folder:
        form = Path(folder) / "model.tflite"
        form.write_bytes(convert_model(answering_model(model), "float16"))
        engine = Engine(form)
        guard = Guard(_fit(engine, run, train, val), run, engine)
        examined = guard.examine(test.images)
        y_pred = engine.compute_logits(prepare_images(test.images)).argmax(axis=1)
    left_out = test.labels == label
    answered = np.array([one.status == "ok" for one in examined])
    called = np.bincount(y_pred[left_out & answered], minlength=len(CLASS_NAMES))
    known, right = ~left_out, y_pred == test.labels
    return {
        "name": CLASS_NAMES[label],
        "run": run.name,
        "fingerprint": run.fingerprint,
        "refused": share(int((left_out & ~answered).sum()), int(left_out.sum())),
        "statuses": count_statuses(one for one, is_mine in zip(examined, left_out, strict=True) if is_mine),
        "called": {name: int(count) for name, count in zip(CLASS_NAMES, called, strict=True) if count},
        "known_answered": share(int((known & answered).sum()), int(known.sum())),
        "known_right": share(int((known & answered & right).sum()), int((known & answered).sum())),
    }


def _fit(engine: Engine, run: Artifact, train: Split, val: Split) -> GuardParameters:
    y_score = compute_view_probabilities(engine, prepare_images(val.images), run.manifest.temperature)
    return fit_parameters(
        train.images,
        train.labels,
        compute_features(engine, train.images),
        val.images,
        compute_features(engine, val.images),
        y_score[np.arange(val.num_images), val.labels],
    )
