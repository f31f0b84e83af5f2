"""Runs a LiteRT form once, in a process that may die of it.

python -m bloodcell.inference.trial FORM INPUTS.npy OUTPUT.npy
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bloodcell.inference.child import run_main
from bloodcell.inference.engine import Engine


def main(arguments: Sequence[str]) -> None:
    """Read inputs (n, 64, 64, 3) float32 from one .npy file and write the form's logits to another.

    The inputs are answered one by one and again all at once, so that both ways of running are known to work.
    """
    form, inputs_path, output_path = map(Path, arguments)
    inputs = np.load(inputs_path)
    engine = Engine(form)
    singly = np.concatenate([engine.compute_logits(one[None]) for one in inputs])
    np.save(output_path, np.stack([singly, engine.compute_logits(inputs)]))


if __name__ == "__main__":
    run_main(main)
