"""How OAuth clients say who they are."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import AccountRefusal, ClientProof, Form, read_client_proof
from gateway.accounts.client_proof import ProofMethod, read_basic


def basic(text: str | bytes, *, scheme: bytes = b"Basic") -> bytes:
    return scheme + b" " + b64encode(text.encode() if isinstance(text, str) else text)


def form(**values: str) -> Form:
    return Form({name: (value,) for name, value in values.items()})


def read(*authorization: bytes, **values: str) -> ClientProof | AccountRefusal:
    return read_client_proof(authorization, form(**values))


def refused(answer: ClientProof | AccountRefusal | None) -> str:
    assert isinstance(answer, AccountRefusal)
    assert "s3cret" not in repr(answer)
    return answer.oauth_error


@pytest.mark.parametrize(
    ("authorization", "values", "proof"),
    [
        ([basic("cli_1:s3cret")], {}, ("cli_1", "s3cret", ProofMethod.BASIC)),
        ([basic("cli_1:s3cret", scheme=b"bAsIc")], {}, ("cli_1", "s3cret", ProofMethod.BASIC)),
        ([basic("cli_1:s3cret")], {"client_id": "cli_1"}, ("cli_1", "s3cret", ProofMethod.BASIC)),
        ([basic("cli_1:")], {}, ("cli_1", None, ProofMethod.BASIC)),
        ([], {"client_id": "cli_1", "client_secret": "s3cret"}, ("cli_1", "s3cret", ProofMethod.POST)),
        ([], {"client_id": "gateway"}, ("gateway", None, ProofMethod.NONE)),
    ],
)
def test_each_way_is_understood(
    authorization: list[bytes], values: dict[str, str], proof: tuple[str, str | None, ProofMethod]
) -> None:
    found = read(*authorization, **values)
    assert isinstance(found, ClientProof)
    assert (found.id, found.secret, found.method) == proof
    assert "s3cret" not in repr(found)
    assert "cli_1" not in repr(found)


@pytest.mark.parametrize(
    ("text", "id_", "secret"),
    [
        ("a%3Ab:c%3Ad", "a:b", "c:d"),
        ("a:b:c", "a", "b:c"),
        ("a+b:c+d", "a b", "c d"),
        ("a:%25", "a", "%"),
        ("a:%C3%A4", "a", "ä"),
    ],
)
def test_id_and_secret_are_form_encoded_before_they_are_joined(text: str, id_: str, secret: str) -> None:
    found = read(basic(text))
    assert isinstance(found, ClientProof)
    assert (found.id, found.secret) == (id_, secret)


@pytest.mark.parametrize(
    "authorization",
    [
        basic("cli_1"),
        basic("cli_1:%"),
        basic("cli_1:%zz"),
        basic("%:s3cret"),
        basic(b"cli_1:\xff"),
        basic("cli_1:%ff"),
        b"Basic",
        b"Basic ",
        b"Basic !!!!",
        b"Basic  " + b64encode(b"cli_1:s3cret"),
        b"Basic " + b64encode(b"cli_1:s3cret!").rstrip(b"="),
        b"Bearer s3cret",
        b"Basicx " + b64encode(b"cli_1:s3cret"),
        b"",
    ],
)
def test_what_is_not_basic_is_no_client_even_beside_a_good_form(authorization: bytes) -> None:
    assert refused(read(authorization)) == "invalid_client"
    beside = read(authorization, client_id="cli_1", client_secret="s3cret")
    assert refused(beside) == "invalid_client"


def test_nothing_at_all_is_no_client() -> None:
    assert refused(read()) == "invalid_client"
    assert refused(read(client_secret="s3cret")) == "invalid_client"


@pytest.mark.parametrize(
    ("authorization", "values"),
    [
        ([basic("cli_1:s3cret")], {"client_id": "cli_1", "client_secret": "s3cret"}),
        ([basic("cli_1:s3cret")], {"client_secret": "s3cret"}),
        ([basic("cli_1:s3cret")], {"client_id": "cli_2"}),
        ([basic("cli_1:s3cret"), basic("cli_1:s3cret")], {}),
        ([basic("cli_1:s3cret"), b"Bearer x"], {}),
    ],
)
def test_two_ways_at_once_are_refused(authorization: list[bytes], values: dict[str, str]) -> None:
    assert refused(read(*authorization, **values)) == "invalid_request"


def test_without_the_field_there_is_no_basic() -> None:
    assert read_basic([]) is None
    assert read_basic([b"Bearer x"]) is None


@given(st.lists(st.binary(max_size=60), max_size=2))
def test_no_field_is_a_bug(authorization: list[bytes]) -> None:
    read(*authorization)
    read(*(b"Basic " + each for each in authorization))
    read(*(basic(each) for each in authorization))
