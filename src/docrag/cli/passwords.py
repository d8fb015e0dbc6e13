"""The password for encrypted files, from where it leaves the fewest traces."""

from __future__ import annotations

from pathlib import Path

from docrag.errors import UsageError

ASK = "-"
"""``--password -`` asks on the terminal, so that the password stands in no shell history."""


def read_password(password: str | None, password_file: Path | None) -> str | None:
    """The password given, asked for, or on the first line of the file; None when there is none."""
    if password == ASK:
        import getpass

        return getpass.getpass("Password: ")
    if password_file is None:
        return password
    try:
        lines = password_file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file {password_file}: cannot be read: {error}") from error
    if not lines or not lines[0]:
        raise UsageError(f"--password-file {password_file}: expected the password on its first line")
    return lines[0]
