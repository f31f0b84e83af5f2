"""Runs a form that gives every layer once, in a process that may die of it.

python -m bloodcell.inference.inside_trial FORM INPUTS.npy OUTPUT.npz
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bloodcell.inference.child import run_main


def main(arguments: Sequence[str]) -> None:
    """Write what every layer gives: for one image alone, to know that it works, then for all at once."""
    from ai_edge_litert.interpreter import Interpreter

    form, inputs_path, output_path = map(Path, arguments)
    inputs = np.load(inputs_path)
    run = Interpreter(model_path=str(form)).get_signature_runner()
    run(image=inputs[:1])
    np.savez(output_path, **run(image=inputs))


if __name__ == "__main__":
    run_main(main)
