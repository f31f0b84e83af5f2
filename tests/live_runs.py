"""Runs of live trainings without training: folders as the worker leaves them."""

import time

import numpy as np

from bloodcell.training import live
from bloodcell.training.live import LiveRun, find_run, write_state
from bloodcell.training.live_log import LiveLog, choose_cells
from bloodcell.training.live_request import LiveRequest

LABELS = np.arange(40) % 8


def write_run(state="done", request=None, epochs=2, steps=4, labels=LABELS, md5="0" * 32, **changes) -> LiveRun:
    """Queue a run and let it look as if it had trained `epochs` epochs and half of the next."""
    run = live.enqueue(request or LiveRequest("cnn_3"))
    log = LiveLog(run.folder)
    log.write("start", epochs_done=0, steps=steps, images=32 * steps)
    rows, samples = choose_cells(labels, 5, 2)
    log.write("cells", rows=rows.tolist(), labels=labels[rows].tolist(), samples=samples.tolist(), md5=md5)
    for step in range(1, epochs * steps + steps // 2 + 1):
        position = step / steps
        write_step(log, position, labels[rows], samples)
        if step % steps == 0:
            numbers = {"loss": 1 / position, "accuracy": 0.5, "val_loss": 1.1 / position, "val_accuracy": 0.6}
            log.write("epoch", epoch=step // steps, **numbers, learning_rate=1e-3, seconds=2.0 * step)
    now = time.time()
    return write_state(
        find_run(run.number), state=state, started_at=now - 60, ended_at=now, phase="Training", **changes
    )


def write_step(log, position, labels, samples):
    """Write one report and one look: every class but the first is answered rightly."""
    matrix = np.diag(np.bincount(labels, minlength=8))
    matrix[0] = np.roll(matrix[0], 1)
    scores = np.full((len(samples), 8), 0.01)
    answers = np.where(labels[samples] == 0, 1, labels[samples])
    scores[np.arange(len(samples)), answers] = 0.93
    accuracy = np.trace(matrix) / matrix.sum()
    log.write("batch", position=position, seconds=8 * position, loss=1 / position, accuracy=0.5)
    log.write(
        "look",
        position=position,
        seconds=8 * position,
        loss=1 / position,
        accuracy=accuracy,
        matrix=matrix.tolist(),
        samples=scores.tolist(),
    )
