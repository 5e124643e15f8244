import pytest

from gateway.identity import ABSENT, Rejected
from gateway.identity.bearer import Presented, read_token
from gateway.model import Fields


def fields(*values: bytes) -> Fields:
    return Fields([(b"Authorization", value) for value in values])


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER", b"bEaReR"])
def test_the_scheme_may_be_in_any_case(scheme: bytes) -> None:
    found = read_token(fields(scheme + b" abc.DEF-_~+/9=="))
    assert found == Presented("abc.DEF-_~+/9==", with_proof=False)


@pytest.mark.parametrize("scheme", [b"DPoP", b"dpop", b"DPOP"])
def test_a_token_that_comes_with_a_proof_says_so(scheme: bytes) -> None:
    assert read_token(fields(scheme + b" abc.DEF")) == Presented("abc.DEF", with_proof=True)


def test_without_the_field_there_is_no_token() -> None:
    assert read_token(Fields([(b"Cookie", b"token=abc"), (b"X-Authorization", b"Bearer abc")])) is ABSENT


@pytest.mark.parametrize(
    "value",
    [
        b"Basic dXNlcjpwYXNz",
        b"Digest username=x",
        b"DPoPabc",
        b"Bearerabc",
        b"Bearers abc",
        b"Bearer-x abc",
        b"abc",
        b"",
        b"\xff",
    ],
)
def test_other_schemes_are_somebody_elses(value: bytes) -> None:
    assert read_token(fields(value)) is ABSENT


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
        b"DPoP",
        b"DPoP  abc",
        b"DPoP abc, Bearer def",
        b"DPoP Bearer abc",
        b" dpop abc",
    ],
)
def test_a_credential_of_the_wrong_form_is_rejected(value: bytes) -> None:
    answer = read_token(fields(value))
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
    answer = read_token(fields(*values))
    assert isinstance(answer, Rejected)
    assert answer.malformed


def test_the_kelvin_sign_is_no_letter_of_the_scheme() -> None:
    # Its lower case is `k` to Python's text; bytes know nothing of it.
    assert read_token(fields("Bearer\u212a abc".encode())) is not None
    assert not isinstance(read_token(fields("\u212a abc".encode())), Presented)
