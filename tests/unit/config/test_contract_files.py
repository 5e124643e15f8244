"""The example of the public contract: every key of it is known, and what is wrong with it is only that some
parts are not enforced yet."""

from pathlib import Path

from support.certificates import Authority

from gateway.audit import Redaction
from gateway.config import Loaded, Severity, load_configuration

CONTRACT = Path(__file__).parents[2] / "golden" / "config" / "contract"


def _load(folder: Path, policies: str | None = None, **environ: str) -> Loaded:
    upstreams = (CONTRACT / "upstreams.yaml").read_text()
    # The example names its secrets by absolute paths.
    for directory in ("/run/secrets", "/etc/gateway"):
        (folder / directory[1:]).mkdir(parents=True)
        upstreams = upstreams.replace(directory, f"{folder}{directory}")
    (folder / "run/secrets/profiles-token").write_text("token-of-the-example\n")
    authority = Authority(folder)
    pair = authority.issue("profiles")
    authority.file.rename(folder / "etc/gateway/ca.pem")
    pair.certificate.rename(folder / "run/secrets/p.crt")
    pair.key.rename(folder / "run/secrets/p.key")
    (folder / "upstreams.yaml").write_text(upstreams)
    (folder / "policies.yaml").write_text(policies or (CONTRACT / "policies.yaml").read_text())
    return load_configuration(folder / "policies.yaml", folder / "upstreams.yaml", environ=environ)


def test_only_what_is_not_supported_yet_is_wrong_with_the_example(tmp_path: Path) -> None:
    loaded = _load(tmp_path, REPORTS_URL="http://reports.internal:8080")
    wrong = [each for each in loaded.findings if each.severity is Severity.ERROR]
    assert {each.code for each in wrong} == {"E190"}
    assert {Path(each.file).name for each in wrong} == {"policies.yaml"}
    assert loaded.snapshot is None
    assert loaded.tally.routes == 8
    assert loaded.tally.upstreams == 3


def test_the_example_says_itself_what_is_missing(tmp_path: Path) -> None:
    loaded = _load(tmp_path)
    (missing,) = [each for each in loaded.findings if each.code == "E013"]
    assert missing.message == (
        "the environment variable REPORTS_URL is not set: REPORTS_URL must point at the report service"
    )


def test_the_example_loads_without_its_unsupported_parts(tmp_path: Path) -> None:
    """Every line with such a part is taken away, and what is left is a whole configuration."""
    policies = "\n".join(
        line
        for line in (CONTRACT / "policies.yaml").read_text().splitlines()
        if not line.strip().startswith("mode:")
    )
    policies = policies.replace(", accuracy: leased", "")
    loaded = _load(tmp_path, policies, REPORTS_URL="http://reports")
    assert [str(each) for each in loaded.findings if each.severity is Severity.ERROR] == []
    assert loaded.snapshot is not None
    assert set(loaded.snapshot.plans) == {
        "health",
        "orders-list",
        "orders-item",
        "orders-refund",
        "profile",
        "reports",
        "feed",
        "old",
    }
    hidden = loaded.snapshot.recording.redaction
    assert hidden == Redaction(masked=frozenset({"query.token", "header.x-customer-id"}), visible=3)
