"""Background work reports its progress, ends in one of two states, and runs once per name."""

import threading

import pytest

from bloodcell.errors import DownloadError
from bloodcell.views.background import find_job, forget_job, start_job


@pytest.fixture(autouse=True)
def forgotten():
    yield
    for name in ("count", "fail", "twice"):
        job = find_job(name)
        if job is not None:
            job.wait(5)
            forget_job(name)


def test_progress_is_seen_while_the_work_goes_on_and_the_result_afterwards():
    reported, go_on = threading.Event(), threading.Event()

    def work(report):
        report(3, 12, "Reading")
        reported.set()
        go_on.wait(5)
        return "whole"

    job = start_job("count", work)
    assert reported.wait(5)
    assert (job.state, job.fraction, job.message) == ("running", 0.25, "Reading")
    go_on.set()
    assert job.wait(5)
    assert (job.state, job.result, job.error) == ("done", "whole", None)
    assert find_job("count") is job
    forget_job("count")
    assert find_job("count") is None


def test_an_error_is_kept_for_the_page_and_never_lost_in_the_thread():
    def work(report):
        raise DownloadError("No network.")

    job = start_job("fail", work)
    assert job.wait(5)
    assert job.state == "failed"
    assert isinstance(job.error, DownloadError)


def test_a_second_start_joins_the_running_job_and_a_later_one_begins_anew():
    go_on = threading.Event()
    first = start_job("twice", lambda report: go_on.wait(5))
    assert start_job("twice", lambda report: "another") is first
    forget_job("twice")
    assert find_job("twice") is first, "a running job is not forgotten"
    go_on.set()
    assert first.wait(5)
    second = start_job("twice", lambda report: "another")
    assert second.wait(5)
    assert second is not first and second.result == "another"


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 0, 0.0), (5, 0, 0.0), (5, 10, 0.5), (11, 10, 1.0)])
def test_fraction_stays_between_none_and_all(done, total, fraction):
    job = start_job("count", lambda report: report(done, total))
    assert job.wait(5)
    assert job.fraction == fraction
