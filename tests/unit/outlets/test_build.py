"""From URLs to outlets."""

from pathlib import Path

import pytest

from gateway.formats import FORMATS
from gateway.outlets import (
    OutletFlaw,
    checkpoint_files_from,
    checkpoint_outlet_from,
    checkpoint_outlets_from,
    outlet_from,
    outlets_from,
)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("stdout:", "stdout"),
        ("file:/var/log/a.jsonl?as=csv", "file /var/log/a.jsonl"),
        ("syslog://siem:514", "syslog://siem:514"),
        ("syslog+tls://[::1]?as=cef&ca=/ca.pem", "syslog+tls://[::1]:6514"),
        ("https://siem:443/in?query=key%3Dsecret&token=file:/t", "webhook https://siem/in"),
        ("http://127.0.0.1:8088/in?token=file:/t", "webhook http://127.0.0.1:8088/in"),
        ("http://siem:80", "webhook http://siem/"),
    ],
)
async def test_an_outlet_is_called_by_where_it_is_and_never_by_a_secret(url: str, name: str) -> None:
    outlet = outlet_from(url, FORMATS)
    assert outlet.name == name
    await outlet.close()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("stdout:", "checkpoints stdout"),
        ("file:/mnt/far/checkpoints", "checkpoints file /mnt/far/checkpoints"),
        ("https://far.example/in?token=file:/t", "checkpoints webhook https://far.example/in"),
    ],
)
async def test_a_place_for_checkpoints_has_a_name_of_its_own(url: str, name: str) -> None:
    outlet = checkpoint_outlet_from(url)
    assert outlet.name == name
    await outlet.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("stdout:?as=esc", "there is no format 'esc'; did you mean ecs?"),
        ("stdout:?as=parquet", "write one of cef, csv, ecs, jsonl, ocsf"),
        ("syslog://siem:514?as=csv", "a header line, for which syslog has no place"),
        ("http://siem.example/in?token=file:/t", "write https://"),
        ("https://siem/in?key=/k.pem", "add cert=/PATH"),
        ("https://siem/in?ca=ca.pem", "ca is no absolute path; write ca=/etc/gateway/ca.pem"),
        ("https://siem/in?token=abc", "write token=file:/run/secrets/token"),
    ],
)
def test_what_cannot_be_is_refused(url: str, said: str) -> None:
    with pytest.raises(OutletFlaw) as flaw:
        outlet_from(url, FORMATS)
    assert said in str(flaw.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:/x?as=jsonl", "one form only"),
        ("syslog://siem:514", "several lines, which syslog does not keep"),
    ],
)
def test_what_no_checkpoint_can_go_through_is_refused(url: str, said: str) -> None:
    with pytest.raises(OutletFlaw, match=said):
        checkpoint_outlet_from(url)


def test_the_same_place_twice_is_refused() -> None:
    with pytest.raises(OutletFlaw, match="webhook https://siem/in is named twice"):
        outlets_from(["https://siem/in", "stdout:", "https://siem:443/in?as=ecs"], FORMATS)
    with pytest.raises(OutletFlaw, match="checkpoints stdout is named twice"):
        checkpoint_outlets_from(["stdout:", "stdout:"])


def test_several_places_keep_their_order() -> None:
    made = outlets_from(["stdout:", "file:/a", "file:/b"], FORMATS)
    assert [outlet.name for outlet in made] == ["stdout", "file /a", "file /b"]
    assert outlets_from([], FORMATS) == ()
    assert checkpoint_outlets_from([]) == ()


def test_the_files_among_the_outlets_for_checkpoints_are_those_of_this_machine() -> None:
    urls = ["stdout:", "file:/mnt/far%20away/checkpoints", "https://far.example/in", "file:/b"]
    assert checkpoint_files_from(urls) == (Path("/mnt/far away/checkpoints"), Path("/b"))
