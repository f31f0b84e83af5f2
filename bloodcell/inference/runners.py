"""The two engines as plain functions from an array of one fixed batch to an array of logits, for measuring them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bloodcell.artifact import load_artifact, load_model
from bloodcell.inference.benchmark import Contender
from bloodcell.inference.engine import Engine

Run = Callable[[np.ndarray], np.ndarray]


def set_keras_threads(num_threads: int) -> None:
    """Give TensorFlow its number of threads; before its first operation, or it has no effect."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


class KerasRunner:
    """A Keras model, compiled once per batch size by `tf.function` on a fixed shape."""

    def __init__(self, contender: Contender) -> None:
        """Build and fill the model."""
        from bloodcell.models import logits_model

        folder = Path(contender.folder)
        self._model = logits_model(load_model(load_artifact(folder.name, folder.parent)))
        self._compiled: dict[int, Run] = {}

    def runner(self, batch_size: int) -> Run:
        """Return the compiled function for batches of this size."""
        import tensorflow as tf

        if batch_size not in self._compiled:
            shape = (batch_size, *self._model.input_shape[1:])
            function = tf.function(lambda inputs: self._model(inputs, training=False))
            concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
            self._compiled[batch_size] = lambda inputs: concrete(tf.constant(inputs)).numpy()
        return self._compiled[batch_size]


class LitertRunner:
    """A LiteRT form, loaded as the pages load it."""

    def __init__(self, contender: Contender, num_threads: int, largest_batch: int) -> None:
        """Load the form; batches up to `largest_batch` are run in one pass."""
        self._engine = Engine(Path(contender.form), num_threads, largest_batch)

    def runner(self, batch_size: int) -> Run:
        """Return the engine's own function, which takes any batch."""
        return self._engine.compute_logits
