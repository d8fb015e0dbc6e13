"""Prompt files: their form, their variables, and files given in their place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag import resources
from docrag.chat.prompts import Prompts, parse_prompt
from docrag.errors import ConfigError

FILE = """---
description: Judge a page
variables: [question, page]
---

# system
You judge pages.

# user
{{ question }}
Page: {{page}}
"""
PACKAGED = resources.names("prompts", ".md")


def test_a_file_is_taken_apart_and_filled_in():
    prompt = parse_prompt("judge", FILE, source="judge.md")
    assert (prompt.name, prompt.description) == ("judge", "Judge a page")
    assert prompt.variables == {"question", "page"}
    assert prompt.digest == hashlib.sha256(FILE.encode()).hexdigest()[:16]
    rendered = prompt.render(question="How many?", page="three")
    assert rendered.system == "You judge pages."
    assert rendered.user == "How many?\nPage: three"


@given(question=st.text(), page=st.text())
def test_values_are_put_in_as_they_are(question: str, page: str):
    prompt = parse_prompt(
        "x", "---\ndescription: d\nvariables: [a, b]\n---\n# user\n<{{ a }}|{{ b }}>", source="x"
    )
    assert prompt.render(a=question, b=page).user == f"<{question}|{page}>"


def test_braces_inside_a_value_stand_for_nothing():
    prompt = parse_prompt("judge", FILE, source="x")
    rendered = prompt.render(question="{{ page }}", page="{{ question }} \\1 \\g<0>")
    assert rendered.user == "{{ page }}\nPage: {{ question }} \\1 \\g<0>"


@pytest.mark.parametrize("values", [{"question": "q"}, {"question": "q", "page": "p", "more": "m"}, {}])
def test_variables_that_are_missing_or_unknown_are_named(values: dict[str, str]):
    with pytest.raises(
        ValueError, match=r"prompt judge got .* expected its variables \['page', 'question'\]"
    ):
        parse_prompt("judge", FILE, source="x").render(**values)


def test_line_ends_of_other_systems_are_read_and_a_change_changes_the_digest():
    windows = parse_prompt("judge", FILE.replace("\n", "\r\n"), source="x")
    plain = parse_prompt("judge", FILE, source="x")
    assert windows.render(question="a", page="b") == plain.render(question="a", page="b")
    assert parse_prompt("judge", FILE + " ", source="x").digest != plain.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# user\nhello", "expected a header"),
        ("---\n- a\n---\n# user\nx", "must have description and variables"),
        ("---\ndescription: d\n---\n# user\nx", "must have description and variables"),
        ("---\ndescription: d\nvariables: []\nmore: 1\n---\n# user\nx", "and nothing else"),
        ("---\ndescription: [\n---\n# user\nx", "the header is no YAML"),
        (
            "---\ndescription: d\nvariables: page\n---\n# user\n{{ page }}",
            "variables is a str, expected a list",
        ),
        ("---\ndescription: d\nvariables: []\n---\n# system\nx", "one section # user"),
        ("---\ndescription: d\nvariables: []\n---\n# user\nx\n# user\ny", "one section # user"),
        ("---\ndescription: d\nvariables: []\n---\nhello\n# user\nx", "one section # user"),
        (
            "---\ndescription: d\nvariables: []\n---\n# user\n{{ x }}",
            r"declares the variables \[\] but uses \['x'\]",
        ),
        (
            "---\ndescription: d\nvariables: [x]\n---\n# user\nx",
            r"declares the variables \['x'\] but uses \[\]",
        ),
    ],
)
def test_a_malformed_file_is_named_with_what_is_wrong(text: str, message: str):
    with pytest.raises(ConfigError, match=rf"mine\.md: .*{message}"):
        parse_prompt("judge", text, source="mine.md")


@pytest.mark.parametrize("name", [name for name in PACKAGED if name != "README"])
def test_every_packaged_prompt_can_be_read(name: str):
    prompt = Prompts().get(name)
    assert prompt.description
    assert prompt.render(**dict.fromkeys(prompt.variables, "x")).user


def test_an_unknown_prompt_is_named_with_those_there_are(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"there is no prompt jugde; prompts: answer_"):
        Prompts({"jugde": tmp_path / "x.md"})


def test_an_override_must_exist_and_be_read_at_once(tmp_path: Path):
    name = next(name for name in PACKAGED if name != "README")
    with pytest.raises(ConfigError, match=rf"x\.md: the prompt {name} cannot be read"):
        Prompts({name: tmp_path / "x.md"})


def test_an_override_replaces_the_packaged_file_and_must_have_its_variables(tmp_path: Path):
    name = next(name for name in PACKAGED if name != "README" and Prompts().get(name).variables)
    packaged = Prompts().get(name)
    body = " ".join(f"{{{{ {variable} }}}}" for variable in sorted(packaged.variables))
    header = f"---\ndescription: mine\nvariables: [{', '.join(sorted(packaged.variables))}]\n---\n# user\n"
    file = tmp_path / "mine.md"
    file.write_text(f"{header}Mine: {body}")
    mine = Prompts({name: file}).get(name)
    assert mine.description == "mine"
    assert mine.digest != packaged.digest
    file.write_text("---\ndescription: mine\nvariables: [other]\n---\n# user\n{{ other }}")
    with pytest.raises(ConfigError, match=r"mine\.md: has the variables \['other'\], expected those"):
        Prompts({name: file})


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path):
    path = tmp_path / "plan.md"
    packaged = Prompts().get(PACKAGED[-1])
    original = (resources.folder("prompts") / f"{PACKAGED[-1]}.md").read_text("utf-8")
    path.write_bytes(b"\xef\xbb\xbf" + original.replace("\n", "\r\n").encode())
    given = Prompts({PACKAGED[-1]: path}).get(PACKAGED[-1])
    assert given.variables == packaged.variables
    assert given.user.split() == packaged.user.split()
