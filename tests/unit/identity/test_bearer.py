import pytest

from gateway.identity import ABSENT, Rejected, read_bearer
from gateway.model import Fields


def fields(*values: bytes) -> Fields:
    return Fields([(b"Authorization", value) for value in values])


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
def test_the_scheme_may_be_in_any_case(scheme: bytes) -> None:
    assert read_bearer(fields(scheme + b" abc.DEF-_~+/9==")) == "abc.DEF-_~+/9=="


def test_without_the_field_there_is_no_token() -> None:
    assert read_bearer(Fields([(b"Cookie", b"token=abc"), (b"X-Authorization", b"Bearer abc")])) is ABSENT


@pytest.mark.parametrize(
    "value",
    [
        b"Basic dXNlcjpwYXNz",
        b"Digest username=x",
        b"DPoP abc",
        b"Bearerabc",
        b"Bearers abc",
        b"Bearer-x abc",
        b"abc",
        b"",
        b"\xff",
    ],
)
def test_other_schemes_are_somebody_elses(value: bytes) -> None:
    assert read_bearer(fields(value)) is ABSENT


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer  abc",
        b"Bearer\tabc",
        b"Bearer \tabc",
        b"Bearer abc ",
        b"Bearer abc def",
        b"Bearer abc,def",
        b"Bearer abc, Bearer def",
        b'Bearer "abc"',
        b"Bearer =",
        b"Bearer ab=c",
        b"Bearer abc\n",
        b"Bearer a\x00c",
        b"Bearer a\x7fc",
        b"Bearer\xa0abc",
        b"Bearer ab\xc3\xa9",
        b"Bearer \xef\xbc\xa1",
        b"Bearer,abc",
        b"Bearer=abc",
        b" Bearer abc",
        b"\tBearer abc",
    ],
)
def test_a_bearer_credential_of_the_wrong_form_is_rejected(value: bytes) -> None:
    answer = read_bearer(fields(value))
    assert isinstance(answer, Rejected)
    assert not answer.malformed
    assert "abc" not in answer.diagnosis


@pytest.mark.parametrize(
    "values",
    [
        (b"Bearer abc", b"Bearer abc"),
        (b"Basic eA==", b"Bearer abc"),
        (b"Basic eA==", b"Basic eA=="),
        (b"", b""),
    ],
)
def test_a_repeated_field_is_malformed_whatever_it_holds(values: tuple[bytes, ...]) -> None:
    answer = read_bearer(fields(*values))
    assert isinstance(answer, Rejected)
    assert answer.malformed


def test_the_kelvin_sign_is_no_letter_of_the_scheme() -> None:
    # Its lower case is `k` to Python's text; bytes know nothing of it.
    assert read_bearer(fields("Bearer\u212a abc".encode())) is not None
    assert not isinstance(read_bearer(fields("\u212a abc".encode())), str)
