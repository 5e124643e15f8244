"""From URLs to outlets."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Protocol, TypeVar

from gateway.outlets.address import OutletAddress, OutletFlaw, parse_address
from gateway.outlets.file import FileCheckpoints, FileOutlet
from gateway.outlets.lines import DEFAULT_FORMAT, LineFormat
from gateway.outlets.stdout import StdoutCheckpoints, StdoutOutlet
from gateway.outlets.syslog import SyslogOutlet
from gateway.outlets.tls import TlsFiles
from gateway.outlets.webhook import Endpoint, WebhookCheckpoints, WebhookOutlet
from gateway.ports import CheckpointOutlet, Outlet

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Made = TypeVar("Made", bound=_Named)


def outlets_from(urls: Sequence[str], formats: Mapping[str, LineFormat]) -> tuple[Outlet, ...]:
    """Return the outlets that URLs name, nothing opened yet. Raise `OutletFlaw`, also for one named twice:
    it could not be told how far either has come."""
    return _distinct([outlet_from(url, formats) for url in urls])


def checkpoint_outlets_from(urls: Sequence[str]) -> tuple[CheckpointOutlet, ...]:
    """Return the outlets for checkpoints that URLs name, nothing opened yet. Raise `OutletFlaw`."""
    return _distinct([checkpoint_outlet_from(url) for url in urls])


def checkpoint_files_from(urls: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of this machine among the outlets for checkpoints. Raise `OutletFlaw`."""
    addresses = map(parse_address, urls)
    return tuple(Path(address.path) for address in addresses if address.scheme == "file")


def outlet_from(url: str, formats: Mapping[str, LineFormat]) -> Outlet:
    """Return the outlet that a URL names, nothing opened yet. Raise `OutletFlaw`."""
    address = parse_address(url)
    wanted = address.options.get("as", DEFAULT_FORMAT)
    format = formats.get(wanted)
    if format is None:
        near = get_close_matches(wanted, formats, n=1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(sorted(formats))}"
        raise address.flaw(f"there is no format {wanted!r}; {hint}")
    match address.scheme:
        case "stdout":
            return StdoutOutlet(format)
        case "file":
            return FileOutlet(Path(address.path), format)
        case "syslog" | "syslog+tls":
            if format.header():
                raise address.flaw(f"{wanted} begins with a header line, for which syslog has no place")
            tls = _tls_files(address) if address.scheme == "syslog+tls" else None
            return SyslogOutlet(address.host, address.port or 0, format, tls=tls)
        case _:
            return WebhookOutlet(_endpoint(address), format)


def checkpoint_outlet_from(url: str) -> CheckpointOutlet:
    """Return the outlet for checkpoints that a URL names, nothing opened yet. Raise `OutletFlaw`."""
    address = parse_address(url)
    if "as" in address.options:
        raise address.flaw("a checkpoint has one form only; leave `as` out")
    match address.scheme:
        case "stdout":
            return StdoutCheckpoints()
        case "file":
            return FileCheckpoints(Path(address.path))
        case "syslog" | "syslog+tls":
            raise address.flaw(
                "a checkpoint has several lines, which syslog does not keep; "
                "write stdout:, file:/PATH or https://HOST/PATH"
            )
        case _:
            return WebhookCheckpoints(_endpoint(address))


def _distinct(made: Sequence[Made]) -> tuple[Made, ...]:
    names = [one.name for one in made]
    for name in names:
        if names.count(name) > 1:
            raise OutletFlaw(f"{name} is named twice; keep one")
    return tuple(made)


def _endpoint(address: OutletAddress) -> Endpoint:
    token = address.secret_file("token")
    if token is not None and address.scheme == "http" and not address.is_on_this_machine:
        raise address.flaw("a token is sent only where nobody reads it on the way; write https://")
    port = None if address.port == _DEFAULT_PORTS[address.scheme] else address.port
    place = OutletAddress(scheme=address.scheme, host=address.host, port=port, path=address.path).place
    query = address.options.get("query", "")
    return Endpoint(
        url=f"{place}?{query}" if query else place,
        place=place,
        token=token,
        tls=_tls_files(address) if address.scheme == "https" else None,
    )


def _tls_files(address: OutletAddress) -> TlsFiles:
    ca, cert, key = address.file("ca"), address.file("cert"), address.file("key")
    if key is not None and cert is None:
        raise address.flaw("key has no certificate to go with; add cert=/PATH")
    return TlsFiles(ca=ca, cert=cert, key=key)
