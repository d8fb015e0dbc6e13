"""Runs async tests, those of langchain-tests among them, without a plugin."""

from __future__ import annotations

import asyncio
import inspect

import pytest


def pytest_configure(config: pytest.Config) -> None:
    for marker in ("benchmark", "vcr"):
        config.addinivalue_line("markers", f"{marker}: names in langchain-tests")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def indexed(tmp_path_factory):
    from tests.api.conftest import PAGES, settings_with
    from tests.pdfs import text_pdf

    from docrag import DocRAG

    folder = tmp_path_factory.mktemp("langchain")
    text_pdf(folder / "report.pdf", pages=PAGES)
    with DocRAG.open(folder, settings=settings_with()) as rag:
        rag.index()
    return folder
