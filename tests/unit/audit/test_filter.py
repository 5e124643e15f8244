"""The language in which records are asked for."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import completion, decision, event, refusal

from gateway.audit import Filter, FilterError, described, exact_term, parse_filter, parse_time
from gateway.model import Comparison, Term

NOW = 1_795_269_600.0
"""2026-11-21T14:00:00Z."""


def parse(text: str) -> Filter:
    return parse_filter(text, now=NOW)


def term(field: str, *values: str, sign: Comparison = Comparison.IS, negated: bool = False) -> Term:
    return Term(field=field, values=values, comparison=sign, negated=negated)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  ", ()),
        ("decision:deny", (term("decision", "deny"),)),
        ("-actor:alice", (term("actor", "alice", negated=True),)),
        ("  a.b:c", None),
        ("route:orders,reports", (term("route", "orders", "reports"),)),
        ("route:orders-*", (term("route", "orders-*", sign=Comparison.LIKE),)),
        ("route:orders,re*", (term("route", "orders", "re*", sign=Comparison.LIKE),)),
        ("status:>=500", (term("status", "500", sign=Comparison.AT_LEAST),)),
        (
            "status:<500 status:>399",
            (term("status", "500", sign=Comparison.LESS), term("status", "399", sign=Comparison.GREATER)),
        ),
        ("duration_ms:<=12.5", (term("duration_ms", "12.5", sign=Comparison.AT_MOST),)),
        ("attributes.n:>1", (term("attributes.n", "1", sign=Comparison.GREATER),)),
        ('path:"/a b,c"', (term("path", "/a b,c"),)),
        ('user_agent:">x"', (term("user_agent", ">x"),)),
        ('path:"*"', (term("path", "*"),)),
        (r'path:"a\"b\\c"', (term("path", 'a"b\\c'),)),
        ('path:"",x', (term("path", "", "x"),)),
        ("action:GET:x", (term("action", "GET:x"),)),
        ("request-id:0192F0C1", (term("request_id", "0192f0c1"),)),
        ("attributes.claims.x-y:z", (term("attributes.claims.x-y", "z"),)),
        ("-route:*", (term("route", "*", sign=Comparison.LIKE, negated=True),)),
        ("kind:decision\tdecision:allow\n", (term("kind", "decision"), term("decision", "allow"))),
        ("user_agent:ü漢", (term("user_agent", "ü漢"),)),
    ],
)
def test_a_text_is_terms(text: str, expected: tuple[Term, ...] | None) -> None:
    if expected is None:
        with pytest.raises(FilterError):
            parse(text)
    else:
        assert parse(text) == Filter(terms=expected)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("deny", "'deny' is not FIELD:VALUE, as in decision:deny"),
        (":deny", "':deny' is not FIELD:VALUE"),
        ("--actr alice", "--actr is no option of this command"),
        ("--actr=alice", "--actr is no option"),
        ("rout:x", "unknown field 'rout'; did you mean route?"),
        ("roles.x:y", "unknown field 'roles.x'"),
        ("role:x", "did you mean roles?"),
        ("sinse:1h", "did you mean since?"),
        ("zzzzzz:x", "there are since, until, writer, seq, kind, request_id, actor"),
        ("claims.groups:x", "did you mean attributes.claims.groups?"),
        ("attributes:x", "unknown field 'attributes'"),
        ("attributes.:x", "unknown field 'attributes.'"),
        ("time:2026", "time: write since: and until: instead"),
        ("decision:maybe", "decision: 'maybe' is not one of allow, deny"),
        ("kind:decisions", "kind: 'decisions' is not one of decision, completion, event"),
        ("outcome:done", "outcome: 'done' is not one of complete, client_left"),
        ("actor.kind:human", "actor.kind: 'human' is not one of user, client"),
        ("status:abc", "status: 'abc' is not a number"),
        ("status:>=5x", "status: '5x' is not a number"),
        ("status:>=nan", "status: 'nan' is not a number"),
        ("status:>", "status: '' is not a number"),
        ("route:>5", "route: > compares numbers"),
        ("status:>400,500", "status: > stands alone"),
        ("actor:", "actor: needs a value; actor:* finds what has any"),
        ("actor: alice", "actor: needs a value"),
        ('path:"a b', "a quote is not closed"),
        ('path:a"b"', "the value cannot be read; write it in quotes"),
        ("path:a,", "the value cannot be read"),
        ("path:,a", "the value cannot be read"),
        ('path:"a*",b*', "write two terms"),
        ("since:yesterday", "since: 'yesterday' is not a time; write 30min, 1h or 7d before now"),
        ("since:1h,2h", "since: '1h,2h' is not a time"),
        ("since:1h since:2h", "since: is given twice"),
        ("-since:1h", "-since: cannot be negated; write until: instead"),
        ("-until:1h", "-until: cannot be negated; write since: instead"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence_that_says_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("since:1h", "2026-11-21T13:00:00.000000Z"),
        ("since:30min", "2026-11-21T13:30:00.000000Z"),
        ("since:7d", "2026-11-14T14:00:00.000000Z"),
        ("since:2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.000000Z"),
        ('since:"2026-11-21 13:00"', "2026-11-21T13:00:00.000000Z"),
        ("since:2026-11-21", "2026-11-21T00:00:00.000000Z"),
        ("since:99999999d", "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_durations_before_now_or_moments(text: str, since: str) -> None:
    assert parse(text) == Filter(since=since)
    assert parse(text.replace("since", "until")) == Filter(until=since)


@pytest.mark.parametrize("text", ["1w", "0h", "01h", "1h30min", "0001-01-01T00:00:00+23:59", "", "٣d"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(FilterError, match="is not a time"):
        parse_time(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["allow", "deny", "completion", "login"]),
        ("decision:deny", ["deny"]),
        ("decision:*", ["allow", "deny"]),
        ("-decision:*", ["completion", "login"]),
        ("-decision:allow", ["deny", "completion", "login"]),
        ("status:>=400", ["deny"]),
        ("status:2*", ["completion"]),
        ("actor:alice kind:decision,event", ["allow", "deny", "login"]),
        ("roles:support decision:allow", ["allow"]),
        ("action:auth.*", ["login"]),
        ("seq:>1 seq:<4", ["deny", "completion"]),
        ("attributes.diagnosis:*limit", ["deny"]),
        ("since:10s", ["completion", "login"]),
        ("until:10s", ["allow", "deny"]),
        ("duration_ms:>12 -outcome:cut", ["completion"]),
    ],
)
def test_records_that_match_are_those_that_were_asked_for(text: str, found: list[str]) -> None:
    old, new = "2026-11-21T13:00:00.000000Z", "2026-11-21T13:59:55.000000Z"
    records = {
        "allow": decision(seq=1, time=old),
        "deny": refusal(seq=2, time=old),
        "completion": completion(seq=3, time=new),
        "login": event("auth.login", seq=4, time=new),
    }
    wanted = parse(text)
    assert [name for name, record in records.items() if wanted.matches(record)] == found


def test_a_record_without_a_time_is_before_all_others() -> None:
    assert not parse("since:1h").matches(event("audit.gap", time=None))
    assert parse("until:1h").matches(event("audit.gap", time=None))


def test_an_exact_value_is_no_pattern_and_is_checked() -> None:
    assert exact_term("actor", "a* ,b") == term("actor", "a* ,b")
    assert exact_term("request_id", "0192F") == term("request_id", "0192f")
    with pytest.raises(FilterError, match="decision: 'x' is not one of"):
        exact_term("decision", "x")


def test_more_can_be_asked_for_and_a_limit_in_time_once() -> None:
    wanted = parse("decision:deny since:1h").narrowed([term("route", "orders")], until="2026")
    assert wanted.terms == (term("decision", "deny"), term("route", "orders"))
    assert (wanted.since, wanted.until) == ("2026-11-21T13:00:00.000000Z", "2026")
    with pytest.raises(FilterError, match="since: is given twice"):
        wanted.narrowed(since="2025")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("decision:deny -route:a*,b status:>=500", "decision:deny -route:a*,b status:>=500"),
        ('path:"/a b"', 'path:"/a b"'),
        ("actor:alice,usr_01HX", "actor:***,usr_01HX"),
        ("actor.id:usr_1 -actor.name:alice", "actor.id:usr_1 -actor.name:***"),
        ("source_ip:203.0.113.* user_agent:curl*", "source_ip:*** user_agent:***"),
        ("attributes.claims.email:a@b.example", "attributes.claims.email:***"),
        ("attributes.n:>1", "attributes.n:***"),
        ("path:/a?token=hunter2&b", 'path:"/a?token=***&b"'),
        ('-path:/a,"/b?x=hunter2"', '-path:/a,"/b?x=***"'),
    ],
)
def test_what_was_asked_for_is_told_without_what_may_be_personal(text: str, told: str) -> None:
    assert described(parse(text).terms) == told


FIELD = st.sampled_from(["action", "route", "reason", "host"])
VALUE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(FIELD, st.lists(VALUE, min_size=1, max_size=3), st.booleans()), max_size=3))
def test_terms_that_are_written_out_read_as_the_same(asked: list[tuple[str, list[str], bool]]) -> None:
    terms = tuple(term(field, *values, negated=negated) for field, values, negated in asked)
    assert parse(described(terms)).terms == terms


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with contextlib.suppress(FilterError):
        found = parse(text)
        assert not text.strip() or found.terms or found.since or found.until
