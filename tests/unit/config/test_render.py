import json

import pytest

from gateway.config import (
    CODES,
    Finding,
    Severity,
    render_github,
    render_json,
    render_sarif,
    render_text,
    severity_of,
    summary,
)
from gateway.config.finding import in_order


def _finding(**changed: object) -> Finding:
    values: dict[str, object] = {
        "code": "E103",
        "file": "policies.yaml",
        "line": 41,
        "column": 9,
        "length": 11,
        "message": 'unknown scope "orders:wrte"',
        "suggestion": 'did you mean "orders:write"?',
        "excerpt": "scopes: [orders:wrte]",
    }
    return Finding(**{**values, **changed})  # type: ignore[arg-type] # the values above are of the right types


def test_text_shows_the_line_and_points_at_the_mistake() -> None:
    assert render_text([_finding(column=10)]) == (
        'policies.yaml:41:10: error[E103]: unknown scope "orders:wrte"\n'
        "   41 | scopes: [orders:wrte]\n"
        '      |          ^^^^^^^^^^^  did you mean "orders:write"?'
    )


def test_a_note_is_one_line_and_a_finding_about_a_file_has_no_line() -> None:
    note = _finding(code="W311", message="public: GET /", suggestion=None)
    assert render_text([note]) == "policies.yaml:41:9: note[W311]: public: GET /"
    whole = _finding(
        code="E002", line=0, column=0, message="it cannot be read", suggestion=None, excerpt=None
    )
    assert render_text([whole]) == "policies.yaml: error[E002]: it cannot be read"


@pytest.mark.parametrize("column", [1, 50, 500, 990])
def test_a_long_line_is_shown_in_part_with_the_caret_below_the_mistake(column: int) -> None:
    line = "x" * (column - 1) + "HERE" + "y" * (1000 - column)
    _, shown, carets = render_text(
        [_finding(excerpt=line, column=column, length=4, suggestion=None)]
    ).splitlines()
    assert len(shown) <= 128
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "HERE"


def test_what_could_drive_a_terminal_is_not_printed() -> None:
    text = render_text([_finding(excerpt="a: \x1b[2J\tb", column=4, length=3)])
    assert "\x1b" not in text
    assert "\t" not in text


def test_a_caret_never_points_beyond_its_line() -> None:
    text = render_text([_finding(excerpt="abc", column=3, length=99, suggestion=None)])
    assert text.splitlines()[-1] == "      |   ^"


def test_json_holds_every_field_and_no_source_line() -> None:
    data = json.loads(render_json([_finding()], errors=1))
    assert data["errors"] == 1
    (found,) = data["findings"]
    assert found == {
        "code": "E103",
        "severity": "error",
        "file": "policies.yaml",
        "line": 41,
        "column": 9,
        "length": 11,
        "message": 'unknown scope "orders:wrte"',
        "suggestion": 'did you mean "orders:write"?',
    }


def test_github_commands_cannot_be_forged_by_what_they_quote() -> None:
    text = render_github([_finding(file="a,b:c.yaml", message="50%\n::warning::forged")])
    assert text == (
        "::error file=a%2Cb%3Ac.yaml,line=41,col=9,endColumn=20,title=E103::"
        '50%25%0A::warning::forged; did you mean "orders:write"?'
    )
    assert render_github([_finding(code="W311", line=0)]).startswith(
        "::notice file=policies.yaml,title=W311::"
    )


def test_sarif_names_rules_and_regions() -> None:
    log = json.loads(render_sarif([_finding(), _finding(code="W301", line=0)], version="1.2"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["E103", "W301"]
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 41, "startColumn": 9, "endColumn": 20}
    assert "region" not in run["results"][1]["locations"][0]["physicalLocation"]


def test_the_summary_counts_errors_and_warnings() -> None:
    assert summary([]) == "0 errors, 0 warnings"
    assert summary([_finding(), _finding(code="W301"), _finding(code="W311")]) == "1 error, 1 warning"


def test_findings_come_in_the_order_of_the_files_each_once() -> None:
    first, second = _finding(line=2), _finding(line=10)
    assert in_order([second, first, second]) == (first, second)


def test_every_code_has_a_meaning_and_a_weight() -> None:
    for code, meaning in CODES.items():
        assert meaning.endswith(".")
        assert severity_of(code) is (Severity.ERROR if code[0] == "E" else severity_of(code))
    assert severity_of("W301") is Severity.WARNING
    assert severity_of("W310") is Severity.NOTE
