"""Who may train: this machine's viewers by default, everyone or nobody by setting, and never by a wrong one."""

import pytest

from bloodcell.views.training_rights import SETTING, find_rights

HERE = (None, "127.0.0.1", "::1", "::ffff:127.0.0.1")
LOCAL = {"Host": "localhost:8501", "Origin": "http://localhost:8501"}
ELSEWHERE = ("192.168.1.20", "10.0.0.7", "2001:db8::1", "no address")


@pytest.mark.parametrize("address", HERE)
def test_viewers_at_this_machine_may_by_default(address):
    assert find_rights(address, LOCAL).allowed


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8501", "[::1]:8501", "[::1]"])
def test_this_machine_may_be_called_by_each_of_its_names(host):
    assert find_rights(None, {"host": host}).allowed
    assert find_rights(None, {"host": host, "origin": f"http://{host}"}).allowed


@pytest.mark.parametrize(
    "host",
    ["", "lab.example", "localhost.lab.example:8501", "127.0.0.1.lab.example", "a@lab.example", "[::1", "::1"],
)
def test_a_viewer_who_asked_for_another_name_is_not_local(host):
    """A proxy that says nothing of itself, and a page elsewhere whose name leads to this machine."""
    assert not find_rights(None, {"Host": host}).allowed


@pytest.mark.parametrize("origin", ["https://lab.example", "http://192.168.1.20", "null", "http://[::1"])
def test_a_proxy_that_writes_a_host_of_its_own_does_not_make_viewers_local(origin):
    """As nginx does by itself: `proxy_pass` puts the dashboard's own address into Host and passes Origin on."""
    assert not find_rights(None, {"Host": "127.0.0.1:8501", "Origin": origin}).allowed


def test_without_the_name_that_was_asked_for_nobody_is_local():
    assert not find_rights(None, {}).allowed


@pytest.mark.parametrize("address", ELSEWHERE)
def test_viewers_from_elsewhere_may_where_everyone_may(address, monkeypatch):
    rights = find_rights(address, LOCAL)
    assert not rights.allowed and f"{SETTING}=everyone" in rights.reason
    monkeypatch.setenv(SETTING, "Everyone ")
    assert find_rights(address, {}).allowed


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_behind_a_proxy_nobody_counts_as_local(header):
    assert not find_rights(None, LOCAL | {header: "127.0.0.1"}).allowed


@pytest.mark.parametrize("rule", ["off", "yes"])
def test_off_and_what_is_no_rule_keep_everyone_out(rule, monkeypatch):
    monkeypatch.setenv(SETTING, rule)
    rights = find_rights(None, LOCAL)
    assert not rights.allowed and rights.reason
