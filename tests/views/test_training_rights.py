"""Who may train: this machine's viewers by default, everyone or nobody by setting, and never by a wrong one."""

import pytest

from bloodcell.views.training_rights import SETTING, find_rights

HERE = (None, "127.0.0.1", "::1", "::ffff:127.0.0.1")
ELSEWHERE = ("192.168.1.20", "10.0.0.7", "2001:db8::1", "no address")


@pytest.mark.parametrize("address", HERE)
def test_viewers_at_this_machine_may_by_default(address):
    assert find_rights(address, {}).allowed


@pytest.mark.parametrize("address", ELSEWHERE)
def test_viewers_from_elsewhere_may_where_everyone_may(address, monkeypatch):
    rights = find_rights(address, {})
    assert not rights.allowed and f"{SETTING}=everyone" in rights.reason
    monkeypatch.setenv(SETTING, "Everyone ")
    assert find_rights(address, {}).allowed


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_behind_a_proxy_nobody_counts_as_local(header):
    assert not find_rights(None, {header: "127.0.0.1"}).allowed


@pytest.mark.parametrize("rule", ["off", "yes"])
def test_off_and_what_is_no_rule_keep_everyone_out(rule, monkeypatch):
    monkeypatch.setenv(SETTING, rule)
    rights = find_rights(None, {})
    assert not rights.allowed and rights.reason
