import pytest

from docrag.cli.passwords import read_password
from docrag.errors import UsageError


def test_the_password_is_taken_as_given():
    assert read_password("geheim", None) == "geheim"
    assert read_password(None, None) is None


def test_the_password_is_the_first_line_of_the_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text("pass word\nnot this\n", "utf-8")
    assert read_password(None, file) == "pass word"


def test_a_dash_asks_for_the_password(monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed")
    assert read_password("-", None) == "typed"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_password_is_refused(tmp_path, content):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="--password-file"):
        read_password(None, file)
