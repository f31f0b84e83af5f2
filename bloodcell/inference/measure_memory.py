"""Measures the memory of one model in one engine, in a process that does nothing else.

python -m bloodcell.inference.measure_memory JOB.json MEMORY.json
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bloodcell.dataset import INPUT_SIZE
from bloodcell.inference.benchmark import Contender
from bloodcell.inference.child import run_main
from bloodcell.inference.memory import peak_memory_bytes, reset_peak
from bloodcell.inference.runners import KerasRunner, LitertRunner, set_keras_threads

BYTES_PER_MB = 1024**2


def main(arguments: Sequence[str]) -> None:
    """Read a job, run one image and one batch, and write the peak over the bare engine, and the bare engine, in MB."""
    job_path, memory_path = map(Path, arguments)
    job = json.loads(job_path.read_text())
    contender, batch_size = Contender(**job["contender"]), job["batch_size"]
    _import_engine(contender, job["num_threads"])
    inputs = np.random.default_rng(0).random((batch_size, INPUT_SIZE, INPUT_SIZE, 3), dtype=np.float32)
    baseline = reset_peak()
    runner: KerasRunner | LitertRunner
    if contender.engine == "keras":
        runner = KerasRunner(contender)
    else:
        runner = LitertRunner(contender, job["num_threads"], batch_size)
    for size in (1, batch_size):
        runner.runner(size)(inputs[:size])
    peak = peak_memory_bytes()
    memory = {
        "peak_memory_mb": round((peak - baseline) / BYTES_PER_MB, 2),
        "engine_memory_mb": round(baseline / BYTES_PER_MB, 1),
    }
    memory_path.write_text(json.dumps(memory))


def _import_engine(contender: Contender, num_threads: int) -> None:
    """Bring in everything that is not the model, and let it do a first thing, so that it counts to the baseline."""
    if contender.engine == "keras":
        import keras

        set_keras_threads(num_threads)
        keras.ops.convert_to_tensor([0.0])
    else:
        import ai_edge_litert.interpreter  # noqa: F401 loads the library


if __name__ == "__main__":
    run_main(main)
