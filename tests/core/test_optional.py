import math
from pathlib import Path

import pytest

from docrag.errors import MissingExtra
from docrag.optional import require


def test_a_module_that_is_there_is_returned():
    assert require("math", extra="x", purpose="Counting") is math


@pytest.mark.parametrize("module", ["no_such_module_zq", "no_such_module_zq.part"])
def test_a_missing_module_names_the_pip_line(module: str):
    with pytest.raises(
        MissingExtra, match=r'Drawing needs .*no_such_module_zq.*pip install "docrag\[visual\]"'
    ):
        require(module, extra="visual", purpose="Drawing")


def test_a_broken_installation_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_zq.py").write_text("import its_dependency_zq")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="its_dependency_zq") as caught:
        require("broken_zq", extra="visual", purpose="Drawing")
    assert not isinstance(caught.value, MissingExtra)
