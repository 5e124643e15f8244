"""Devices on which somebody has logged in before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.accounts.house import StandingClock, keys_of

from gateway.accounts import DEVICE_SECONDS, Device, Devices
from gateway.crypto import Roots

KEY = keys_of(bytes(range(32)))
USER = "usr_" + "0" * 32


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def devices(clock: StandingClock) -> Devices:
    return Devices(KEY, clock)


def test_a_device_is_recognised_with_its_owner(devices: Devices) -> None:
    first, second = (devices.recognise(devices.remember(USER)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.user_id == second.user_id == USER
    assert first.id != second.id


def test_a_device_is_forgotten_after_its_time(devices: Devices, clock: StandingClock) -> None:
    value = devices.remember(USER)
    clock.time += DEVICE_SECONDS - 1
    assert isinstance(devices.recognise(value), Device)
    clock.time += 1
    assert devices.recognise(value) is None


def test_another_key_recognises_nobody(devices: Devices, clock: StandingClock) -> None:
    assert Devices(keys_of(bytes(32)), clock).recognise(devices.remember(USER)) is None


@given(st.data())
def test_what_was_changed_in_any_place_is_not_recognised(data: st.DataObject) -> None:
    devices = Devices(KEY, StandingClock())
    value = devices.remember(USER)
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != value[at]))
    assert devices.recognise(value[:at] + other + value[at + 1 :]) is None


@given(st.text())
def test_what_is_not_ours_is_not_recognised(value: str) -> None:
    devices = Devices(KEY, StandingClock())
    assert devices.recognise(value) is None
    assert devices.recognise(f"v1.{value}") is None


def test_the_value_fits_into_a_cookie(devices: Devices) -> None:
    value = devices.remember(USER)
    assert not set(value) & set(' ",;\\')
    assert value.isascii()
    assert len(value) < 200


def test_devices_stay_known_when_the_master_secret_changes() -> None:
    roots = Roots.new()
    devices = Devices(roots.keys_for("devices"), StandingClock())
    before = devices.remember(USER)
    roots.learn(roots.with_next())
    roots.turn()
    after = devices.remember(USER)
    assert (before[:3], after[:3]) == ("v1.", "v2.")
    assert devices.recognise(before) is not None
    assert devices.recognise(after) is not None
    assert devices.recognise(f"v1{after[2:]}") is None
    assert devices.recognise(f"v3{after[2:]}") is None
