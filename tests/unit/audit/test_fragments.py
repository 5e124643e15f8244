"""Parts of records that are encoded once."""

import json
from dataclasses import replace

from gateway.audit import fragments
from gateway.audit.fragments import Fragments
from gateway.model import ANONYMOUS, Principal, PrincipalKind, Route

ROUTE = Route(
    id="r", host=None, methods=frozenset({"GET"}), path="/r", upstream="u", place='policies.yaml:1 "quoted"'
)
KEY = Principal(id="key_1", kind=PrincipalKind.API_KEY, name='a"b', authn="keys", authn_kind="api_key")


def _members(fragment: str) -> object:
    return json.loads('{"x":0' + fragment + "}")


def test_fragments_are_members_of_an_object() -> None:
    made = Fragments()
    known = made.introduction(KEY)
    actor = {"id": "key_1", "kind": "api_key", "name": 'a"b'}
    assert _members(known.decided) == {"x": 0, "authn": "keys", "actor": actor}
    assert _members(known.actor) == {"x": 0, "actor": actor}
    assert _members(known.credentials) == {"x": 0, "authn": "keys"}
    assert _members(made.route("GET", ROUTE)) == {"x": 0, "action": "GET /r", "route": "r", "upstream": "u"}


def test_the_same_question_gets_the_same_text_and_a_changed_one_another() -> None:
    made = Fragments()
    assert made.introduction(KEY) is made.introduction(KEY)
    assert made.introduction(KEY).decided == made.introduction(replace(KEY)).decided
    for changed in (
        replace(KEY, name="c"),
        replace(KEY, roles=frozenset({"x"})),
        replace(KEY, session="s"),
        replace(KEY, authn="other"),
        replace(KEY, scope_limit=frozenset({"a:read"})),
        replace(KEY, subject="usr_1"),
    ):
        assert made.introduction(changed).decided != made.introduction(KEY).decided
    assert made.permit("GET", ROUTE, "1") is made.permit("GET", ROUTE, "1")
    assert made.permit("GET", ROUTE, "1") != made.permit("HEAD", ROUTE, "1")
    assert made.permit("GET", ROUTE, "1") != made.permit("GET", ROUTE, "2")
    assert made.route("GET", ROUTE) != made.route("GET", replace(ROUTE, upstream="v"))


def test_nobody_is_taken_for_somebody_whose_place_in_memory_they_have_got() -> None:
    made = Fragments()
    for number in range(3 * fragments._KEPT):
        # Each is gone when the next one is made, but for those that are kept.
        assert f'"key_{number}"' in made.introduction(replace(KEY, id=f"key_{number}")).actor


def test_nobody_says_nothing() -> None:
    nobody = Fragments().introduction(ANONYMOUS)
    assert (nobody.decided, nobody.actor, nobody.subject) == ("", "", None)


def test_a_person_is_named_by_id_alone() -> None:
    known = Fragments().introduction(replace(KEY, subject="usr_1", scope_limit=frozenset({"b", "a"})))
    assert known.subject == "usr_1"
    assert _members(known.actor) == {"x": 0, "actor": {"id": "key_1", "kind": "api_key"}}
    assert known.confined == {"credential.scopes": ["a", "b"]}
    assert known.decided.endswith(known.actor)
    assert _members(known.decided) == {
        "x": 0,
        "authn": "keys",
        "attributes": {"credential.scopes": ["a", "b"]},
        "actor": {"id": "key_1", "kind": "api_key"},
    }


def test_there_are_never_more_than_so_many() -> None:
    made = Fragments()
    people = [replace(KEY, id=f"key_{number}") for number in range(fragments._KEPT + 10)]
    for person in people:
        made.introduction(person)
    assert len(made._introductions) == 10
