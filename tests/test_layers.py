"""Imports point one way, stages meet only in protocols, start-up is light, and data is never run as code."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "docrag"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Lowest first; a module may import its own row and every row above it, stages not even their own row.
ROWS = (
    ("errors", "optional", "resources", "devices", "checkpoints", "http", "options"),
    ("types", "geometry"),
    ("late_interaction",),
    ("chat",),
    ("protocols",),
    ("ingest", "store", "embed", "models", "retrieve", "answer", "evaluation"),
    ("agents",),  # answerers, too: they share evidence, citations and trace with those of one pass
    ("pipeline", "results", "runs", "report"),
    ("config",),
    ("cli", "serve", "integrations"),
)
STAGES = frozenset(ROWS[5])
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}

HEAVY = (
    "pymupdf", "pypdfium2", "lancedb", "pyarrow", "onnxruntime", "rapidocr", "cv2", "torch", "transformers",
    "tokenizers", "pandas", "scipy", "sklearn", "PIL", "jinja2", "langchain_core", "rich",
)  # fmt: skip


def part_of(path: Path) -> str:
    """`docrag/store/reader.py` belongs to "store", `docrag/types.py` to "types"."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and first name below `docrag` of every import, those inside functions included."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the full name"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "docrag" else [base]
        for name in names:
            root, _, rest = name.partition(".")
            if root == "docrag" and rest:
                yield node.lineno, rest.partition(".")[0]


def wrong_imports(part: str, source: str) -> list[str]:
    found: list[str] = []
    for line, other in imported_parts(ast.parse(source)):
        if other == part or other.startswith("__"):
            continue
        if ROW_OF[other] > ROW_OF[part]:
            found.append(f"line {line}: {part} imports {other}, which stands above it")
        elif part in STAGES and other in STAGES:
            found.append(f"line {line}: stage {part} imports stage {other}")
    return found


def test_every_part_has_a_row():
    unknown = {part_of(path) for path in MODULES} - ROW_OF.keys() - {"__init__", "__main__"}
    assert not unknown, f"name the row of {sorted(unknown)} in tests/test_layers.py"


@pytest.mark.parametrize(
    ("part", "source", "n_wrong"),
    [
        ("types", "from docrag.geometry import Box", 0),
        ("types", "from docrag.protocols import Corpus", 1),
        ("retrieve", "def f():\n    from docrag.store.reader import IndexReader", 1),
        ("retrieve", "from docrag.retrieve.fusion import rrf\nimport docrag.types", 0),
        ("pipeline", "from docrag import store, config", 1),
    ],
)
def test_a_wrong_import_is_found(part: str, source: str, n_wrong: int):
    assert len(wrong_imports(part, source)) == n_wrong


def test_imports_point_one_way_and_stages_do_not_import_one_another():
    wrong = [
        f"{path.relative_to(PACKAGE)} {line}"
        for path in MODULES
        if part_of(path) in ROW_OF
        for line in wrong_imports(part_of(path), path.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", ["docrag", "docrag.protocols", "docrag.cli.main"])
def test_importing_loads_nothing_heavy(module: str):
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not set(run.stdout.split()) & set(HEAVY)


# ── nothing that comes from a file or a model is ever run ────────────────────────────────────────────────

UNSAFE_MODULES = frozenset({"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"})
UNSAFE_CALLS = frozenset(
    ["eval", "exec", "compile", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load", "os.system"]
)
# Both ends of the pipe between docrag and the worker process that it started itself; no file, no network.
OWN_PIPE = {"ingest/process.py": ["import pickle"], "ingest/worker.py": ["import pickle"]}
UNSAFE_FLAGS = frozenset({"trust_remote_code", "allow_pickle", "shell"})


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Describe every construct that would run or unpickle data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [module] if module else [alias.name for alias in node.names]
            for name in names:
                if name.partition(".")[0] in UNSAFE_MODULES:
                    yield f"line {node.lineno}: import {name}"
            for alias in node.names if module else ():
                if f"{module}.{alias.name}" in UNSAFE_CALLS:
                    yield f"line {node.lineno}: from {module} import {alias.name}"
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func) in UNSAFE_CALLS:
                yield f"line {node.lineno}: {ast.unparse(node.func)}()"
            for keyword in node.keywords:
                if keyword.arg in UNSAFE_FLAGS and not is_false(keyword.value):
                    yield f"line {node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}"
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in UNSAFE_FLAGS and not is_false(value):
                    yield f"line {node.lineno}: {key.value!r}: {ast.unparse(value)}"


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize(
    ("source", "n_found"),
    [
        ("import yaml\nyaml.safe_load(text)", 0),
        ("import re\nre.compile('x')\nmodel.eval()", 0),
        ("import yaml\nyaml.load(text)", 1),
        ("from yaml import load", 1),
        ("import pickle", 1),
        ("from joblib.externals import loky", 1),
        ("def f():\n    return eval('1')", 1),
        ("torch.load(path)", 1),
        ("AutoModel.from_pretrained(name, trust_remote_code=True)", 1),
        ("AutoModel.from_pretrained(name, trust_remote_code=False)", 0),
        ("options = {'trust_remote_code': user_says}", 1),
        ("np.load(path, allow_pickle=True)", 1),
        ("subprocess.run(line, shell=True)", 1),
    ],
)
def test_the_ban_finds_what_it_forbids(source: str, n_found: int):
    assert len(list(unsafe(ast.parse(source)))) == n_found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_runs_data_as_code(path: Path):
    found = [what.partition(": ")[2] for what in unsafe(ast.parse(path.read_text("utf-8")))]
    assert found == OWN_PIPE.get(path.relative_to(PACKAGE).as_posix(), [])
