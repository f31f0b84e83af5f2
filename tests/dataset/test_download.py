"""Downloads are tried against a server on this machine that breaks off, lies, refuses and forgets."""

import errno
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bloodcell.dataset import download
from bloodcell.dataset.source import cached_dataset_path, find_dataset
from bloodcell.errors import DownloadError

CONTENT = bytes(range(256)) * 4096  # one MiB
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.content` as `server.manner` says; remembers the ranges that were asked for."""

    def do_GET(self):
        server = self.server
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        server.ranges.append(asked.group(1) if asked else None)
        manner = server.manners.pop(0) if server.manners else "whole"
        if isinstance(manner, int):
            self.send_error(manner)
            return
        content = server.content
        start = int(asked.group(1)) if asked and manner != "no ranges" else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            first = 0 if manner == "wrong range" else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if manner == "slow":
            server.is_serving.set()
            server.may_go_on.wait(10)
        end = (start + len(content)) // 2 if manner == "break" else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BLOODCELL_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(download, "CHUNK_BYTES", 1 << 16)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.manners, server.ranges = CONTENT, [], []
    server.is_serving, server.may_go_on = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.may_go_on.set()
    server.shutdown()
    server.server_close()


def fetch(server, on_progress=None, md5=MD5):
    address = f"http://127.0.0.1:{server.server_port}/bloodmnist_64.npz"
    return download.download_dataset(on_progress, address=address, md5=md5)


def part():
    return download.partial_path(cached_dataset_path(), MD5)


def assert_nothing_under_the_name():
    assert not cached_dataset_path().exists()


def test_whole_file_arrives_with_progress_and_a_second_call_fetches_nothing(server):
    seen = []
    path = fetch(server, lambda done, total: seen.append((done, total)))
    assert path == cached_dataset_path() == find_dataset()
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and len(seen) > 5
    assert not part().exists()
    assert fetch(server) == path
    assert len(server.ranges) == 1


def test_a_broken_connection_is_continued_where_it_broke(server):
    server.manners = ["break", "break"]
    assert fetch(server).read_bytes() == CONTENT
    half, three_quarters = len(CONTENT) // 2, len(CONTENT) * 3 // 4
    assert server.ranges == [None, str(half), str(three_quarters)]


def test_an_interrupted_call_is_continued_by_the_next(server):
    def interrupt(done, total):
        if done > total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, interrupt)
    kept = part().stat().st_size
    assert 0 < kept < len(CONTENT)
    assert_nothing_under_the_name()
    seen = []
    fetch(server, lambda done, total: seen.append((done, total)))
    assert server.ranges == [None, str(kept)]
    assert seen[0] == (kept, len(CONTENT))
    assert cached_dataset_path().read_bytes() == CONTENT


@pytest.mark.parametrize("manner", ["no ranges", "wrong range"])
def test_a_server_without_ranges_is_asked_for_everything_again(server, manner):
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT[:1000])
    server.manners = [manner]
    assert fetch(server).read_bytes() == CONTENT


def test_a_part_that_is_already_whole_only_gets_its_name(server):
    part().parent.mkdir(parents=True)
    part().write_bytes(CONTENT)
    assert fetch(server).read_bytes() == CONTENT
    assert server.ranges == [str(len(CONTENT))]


@pytest.mark.parametrize("rubbish", [b"rubbish", b"r" * (len(CONTENT) + 5)])
def test_a_part_that_spoils_the_sum_is_thrown_away_once(server, rubbish):
    part().parent.mkdir(parents=True)
    part().write_bytes(rubbish)
    assert fetch(server).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_deleted(server):
    server.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match=rf"MD5 .*expected {MD5}.*deleted"):
        fetch(server)
    assert_nothing_under_the_name()
    assert not part().exists()


def test_wrong_bytes_leave_an_older_file_alone(server):
    cached_dataset_path().parent.mkdir(parents=True)
    cached_dataset_path().write_bytes(b"an older file")
    server.content = CONTENT[::-1]
    with pytest.raises(DownloadError):
        fetch(server)
    assert cached_dataset_path().read_bytes() == b"an older file"
    server.content = CONTENT
    fetch(server)
    assert cached_dataset_path().read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_twice(server):
    server.manners = [404]
    with pytest.raises(DownloadError, match=r"answered 404 Not Found instead of the file"):
        fetch(server)
    assert len(server.ranges) == 1
    assert_nothing_under_the_name()


def test_a_busy_server_is_asked_again(server):
    server.manners = [503, 429]
    assert fetch(server).read_bytes() == CONTENT


def test_a_server_that_stays_busy_is_given_up(server):
    server.manners = [503] * 20
    with pytest.raises(DownloadError, match=r"503.*nothing has come.*network connection"):
        fetch(server)
    assert len(server.ranges) == download.MAX_FAILURES


def test_no_network_is_said(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=r"no connection to the server.*BLOODCELL_DATA"):
        fetch(server)
    assert_nothing_under_the_name()


def test_a_server_that_always_breaks_and_never_continues_is_given_up(server):
    server.manners = ["break", "wrong range"] * 20
    with pytest.raises(DownloadError, match=r"would not continue"):
        fetch(server)
    assert len(server.ranges) == 4


def test_what_is_no_address_is_said(server):
    with pytest.raises(DownloadError, match=r"could not be fetched from bloodmnist"):
        download.download_dataset(address="bloodmnist", md5=MD5)


def test_no_space_is_said_before_a_byte_is_written(server, monkeypatch):
    free = download.SPARE_BYTES + len(CONTENT) - 1
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    with pytest.raises(DownloadError, match=r"MB are free.*BLOODCELL_CACHE"):
        fetch(server)
    assert_nothing_under_the_name()
    assert not part().exists()


def test_a_disk_that_fills_up_meanwhile_keeps_what_has_come(server, monkeypatch):
    def fill_up(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", fill_up)
    with pytest.raises(DownloadError, match=r"disk of .* is full: .* MB of the dataset are kept"):
        fetch(server)
    assert_nothing_under_the_name()
    assert part().stat().st_size > 0


def test_a_cache_that_is_no_folder_is_said(server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BLOODCELL_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match=r"cannot be stored in .*BLOODCELL_CACHE"):
        fetch(server)


def test_two_at_once_fetch_one_file(server, monkeypatch):
    monkeypatch.setattr(download, "POLL_S", 0.01)
    server.manners = ["slow"]
    waited, paths = threading.Event(), []
    first = threading.Thread(target=lambda: paths.append(fetch(server)))
    first.start()
    assert server.is_serving.wait(10)
    second = threading.Thread(target=lambda: paths.append(fetch(server, lambda done, total: waited.set())))
    second.start()
    assert waited.wait(10)
    server.may_go_on.set()
    first.join(20)
    second.join(20)
    assert paths == [cached_dataset_path()] * 2
    assert cached_dataset_path().read_bytes() == CONTENT
    assert len(server.ranges) == 1


@pytest.mark.network
def test_the_official_address_answers():
    """MedMNIST's address still serves a file of about the size we announce, and by ranges."""
    import requests

    from bloodcell.dataset.source import official_address

    with requests.get(official_address(), headers={"Range": "bytes=0-3"}, stream=True, timeout=30) as response:
        assert response.status_code == 206
        assert response.raw.read(4) == b"PK\x03\x04"
        assert int(response.headers["Content-Range"].split("/")[1]) == pytest.approx(156e6, rel=0.05)
