"""Runs a LiteRT form once, in a process that may die of it.

python -m bloodcell.inference.trial FORM INPUTS.npy OUTPUT.npy
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bloodcell.inference.child import run_main
from bloodcell.inference.engine import Engine


def main(arguments: Sequence[str]) -> None:
    """Read inputs (n, 64, 64, 3) float32 from one .npy file and write the form's answers to another, (2, n, outputs).

    They are the logits, and after them the subtypes' logits where the form gives any.

    The inputs are answered one by one and again all at once, so that both ways of running are known to work.
    """
    form, inputs_path, output_path = map(Path, arguments)
    inputs = np.load(inputs_path)
    engine = Engine(form)
    singly = np.concatenate([_answer(engine, one[None]) for one in inputs])
    np.save(output_path, np.stack([singly, _answer(engine, inputs)]))


def _answer(engine: Engine, inputs: np.ndarray) -> np.ndarray:
    outputs = engine.compute_outputs(inputs)
    given = [outputs.logits] if outputs.subtype_logits is None else [outputs.logits, outputs.subtype_logits]
    return np.concatenate(given, axis=1)


if __name__ == "__main__":
    run_main(main)
