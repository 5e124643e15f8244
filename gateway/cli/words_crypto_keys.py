"""The words of `gateway crypto-keys`."""

from typing import Annotated

import typer

from gateway.cli.options import DatabaseUrl, DataDir, Format, run

crypto_keys = typer.Typer(help="Keys that encrypt, and what they encrypt.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the key.")]
JwkFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Take the key from a JSON Web Key (kty oct, 32 bytes) rather than making one; `-` reads "
        "standard input.",
    ),
]
Context = Annotated[
    str,
    typer.Option(help="What the ciphertext is bound to: it opens with the same context only."),
]


@crypto_keys.command("create", epilog="Example: gateway crypto-keys create reports")
def crypto_keys_create(
    name: Annotated[str, typer.Argument(help="What policies.yaml and the API call the key; unique.")],
    jwk_file: JwkFile = None,
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key. It is kept sealed with the master secret, and never shown."""
    from gateway.cli.crypto_keys import create as command

    run(
        lambda settings: command(settings, name, jwk_file=jwk_file, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@crypto_keys.command("list", epilog="Example: gateway crypto-keys list")
def crypto_keys_list(
    format: Annotated[Format, typer.Option(help="How the keys are printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List every key with its newest version, which encrypts, and how many messages that has encrypted."""
    from gateway.cli.crypto_keys import list_all as command

    run(lambda settings: command(settings, output=format.value), data_dir=data_dir, database_url=database_url)


@crypto_keys.command("rotate", epilog="Example: gateway crypto-keys rotate reports")
def crypto_keys_rotate(
    name: Name,
    jwk_file: JwkFile = None,
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make the next version of a key, which encrypts within a second. Older ones still decrypt. A key that
    others have too needs --jwk-file: they could not read what random bytes encrypt. The gateway does it by
    itself after 2^31 messages, with random bytes."""
    from gateway.cli.crypto_keys import rotate as command

    run(
        lambda settings: command(settings, name, jwk_file=jwk_file, output=format.value),
        data_dir=data_dir,
        database_url=database_url,
    )


@crypto_keys.command(
    "retire", epilog="Example: gateway crypto-keys retire reports --min-decryption-version 3"
)
def crypto_keys_retire(
    name: Name,
    min_decryption_version: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="The oldest version that still decrypts; without it, that is the newest."
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How the key is printed.")] = Format.text,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Have what older versions of a key encrypted refused, within a second. Nothing is removed: with a
    smaller number they decrypt again."""
    from gateway.cli.crypto_keys import retire as command

    run(
        lambda settings: command(
            settings, name, min_decryption_version=min_decryption_version, output=format.value
        ),
        data_dir=data_dir,
        database_url=database_url,
    )


@crypto_keys.command("encrypt", epilog="Example: gateway crypto-keys encrypt reports < report.pdf")
def crypto_keys_encrypt(
    name: Name,
    context: Context = "",
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Encrypt what is on stdin, byte for byte, and print it as one line."""
    from gateway.cli.crypto import encrypt as command

    run(
        lambda settings: command(settings, name, context=context),
        data_dir=data_dir,
        database_url=database_url,
    )


@crypto_keys.command("decrypt", epilog="Example: gateway crypto-keys decrypt reports < answer.jose")
def crypto_keys_decrypt(
    name: Name,
    context: Context = "",
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print what the ciphertext on stdin holds: a line of `encrypt`, or a response that was encrypted."""
    from gateway.cli.crypto import decrypt as command

    run(
        lambda settings: command(settings, name, context=context),
        data_dir=data_dir,
        database_url=database_url,
    )


@crypto_keys.command("rewrap", epilog="Example: gateway crypto-keys rewrap reports < old.txt > new.txt")
def crypto_keys_rewrap(
    name: Name,
    context: Context = "",
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Encrypt what is on stdin, one ciphertext a line, anew with the newest version, without showing what it
    holds: all lines, or none."""
    from gateway.cli.crypto import rewrap as command

    run(
        lambda settings: command(settings, name, context=context),
        data_dir=data_dir,
        database_url=database_url,
    )
