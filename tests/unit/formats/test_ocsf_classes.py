"""Which class a record is."""

import pytest

from gateway.formats.ocsf_classes import API_ACTIVITY, activity_of_event, activity_of_request
from gateway.model import EventKind


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_has_a_class_of_its_own_category(kind: EventKind) -> None:
    activity = activity_of_event(kind.value)
    families = {"auth": 3, "mfa": 3, "token": 3, "crypto": 6, "audit": 6}
    assert activity.category == families.get(kind.value.partition(".")[0], 3)
    assert activity.uid == activity.type * 100 + activity.id


def test_what_is_not_known_is_some_use_of_an_api() -> None:
    unknown = activity_of_event("something.newer")
    assert (unknown.type, unknown.id, unknown.name) == (API_ACTIVITY, 99, "something.newer")
    assert activity_of_request("LOCK").name == "LOCK"
    assert activity_of_request(None).id == 0
