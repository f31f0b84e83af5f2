"""Times models in turns, in a process of its own.

python -m bloodcell.inference.measure_time JOB.json TIMES.json
"""

import gc
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bloodcell.dataset import INPUT_SIZE
from bloodcell.inference.benchmark import MOST_PASSES, STEP_BATCH_SIZE, Contender, Effort
from bloodcell.inference.child import report_progress, run_main
from bloodcell.inference.runners import KerasRunner, LitertRunner, Run, set_keras_threads


def main(arguments: Sequence[str]) -> None:
    """Read a job, measure it, write one dict of times per contender, in the job's order."""
    job_path, times_path = map(Path, arguments)
    job = json.loads(job_path.read_text())
    contenders = [Contender(**contender) for contender in job["contenders"]]
    effort = Effort(**job["effort"] | {"batch_sizes": tuple(job["effort"]["batch_sizes"])})
    samples = measure(contenders, effort, job["num_threads"])
    times_path.write_text(json.dumps([summarize(one) for one in samples]))


def measure(contenders: Sequence[Contender], effort: Effort, num_threads: int) -> list[dict[int, list[float]]]:
    """Return the seconds of every pass by batch size, per contender, measured in turns.

    A LiteRT form is loaded for its turn and dropped after it, so that working memories do not add up; Keras models,
    whose compilation takes seconds, stay. The order of turns is drawn anew in each round.
    """
    keras_runners: dict[str, KerasRunner] = {}
    if any(contender.engine == "keras" for contender in contenders):
        report_progress(0, 0, "Loading TensorFlow.")
        set_keras_threads(num_threads)
    inputs = np.random.default_rng(0).random((max(effort.batch_sizes), INPUT_SIZE, INPUT_SIZE, 3), dtype=np.float32)
    samples: list[dict[int, list[float]]] = [{size: [] for size in effort.batch_sizes} for _ in contenders]
    order = list(range(len(contenders)))
    shuffle = random.Random(0).shuffle
    for round_index in range(effort.num_rounds):
        shuffle(order)
        for turn, index in enumerate(order):
            contender = contenders[index]
            done = round_index * len(contenders) + turn
            message = f"Round {round_index + 1} of {effort.num_rounds}: {contender.name} in {contender.engine}."
            report_progress(done, effort.num_rounds * len(contenders), message)
            if contender.engine == "keras":
                if contender.name not in keras_runners:
                    keras_runners[contender.name] = KerasRunner(contender)
                runner: KerasRunner | LitertRunner = keras_runners[contender.name]
            else:
                runner = LitertRunner(contender, num_threads, len(inputs))
            gc.collect()
            for size in effort.batch_sizes:
                samples[index][size] += time_passes(runner.runner(size), inputs[:size], effort.visit_s)
    return samples


def time_passes(run: Run, inputs: np.ndarray, visit_s: float) -> list[float]:
    """Return the seconds of each pass of one turn, after two passes that are not counted.

    Where one pass takes longer than the turn, one that is not counted and one that is are enough: the rounds repeat it.
    """
    start = time.perf_counter()
    run(inputs)
    is_short = time.perf_counter() - start < visit_s
    if is_short:
        run(inputs)
    seconds: list[float] = []
    gc.disable()
    try:
        start = time.perf_counter()
        while len(seconds) < 1 + is_short or (time.perf_counter() - start < visit_s and len(seconds) < MOST_PASSES):
            before = time.perf_counter()
            run(inputs)
            seconds.append(time.perf_counter() - before)
    finally:
        gc.enable()
    return seconds


def summarize(samples: dict[int, list[float]]) -> dict[str, Any]:
    """Return the times of one contender as the record has them, from the seconds of its passes by batch size."""
    throughput = {size: size / float(np.median(seconds)) for size, seconds in samples.items()}
    best = max(throughput, key=throughput.__getitem__)
    return {
        "latency_ms_median": 1000 * float(np.median(samples[1])),
        "latency_ms_p95": 1000 * float(np.percentile(samples[1], 95)),
        "step_time_ms": 1000 * float(np.median(samples[STEP_BATCH_SIZE])),
        "batch_size": STEP_BATCH_SIZE,
        "best_batch_size": best,
        "throughput_images_per_s": throughput[best],
        "num_latency_passes": len(samples[1]),
    }


if __name__ == "__main__":
    run_main(main)
