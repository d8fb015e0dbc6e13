"""Defaults < preset < file < environment < --set; wrong values are named with place and nearest names."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from docrag.config import Layer, load_recorded, load_run, load_settings
from docrag.config.load import build, load
from docrag.config.sources import (
    preset_summary,
    presets,
    read_config,
    read_environment,
    read_overrides,
    read_yaml,
)
from docrag.errors import ConfigError
from docrag.pipeline.settings import Settings


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Local(Strict):
    kind: Literal["local"] = "local"
    n_threads: Annotated[int, Field(ge=1)] = 2


class Remote(Strict):
    kind: Literal["remote"] = "remote"
    model: str = "small"
    api_key: SecretStr | None = None


class Read(Strict):
    layout: Literal["ml", "fast"] = "ml"
    dpi: int = 150


class Tree(Strict):
    read: Read = Read()
    steps: tuple[Remote, ...] = ()
    embed: Annotated[Local | Remote, Field(discriminator="kind")] = Local()


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "my.yaml"):
        (tmp_path / name).write_text(text, "utf-8")
        return read_yaml(tmp_path / name, name=name)

    return write


def origins(loaded):
    return {name: place for name, _, place in loaded.flat()}


def test_every_source_wins_over_the_ones_before_it(file):
    layers = [
        file("read: {layout: fast, dpi: 100}\n", "low.yaml"),
        file("read:\n  dpi: 110\n"),
        read_environment({"DOCRAG_READ__DPI": "120"}),
        read_overrides(["read.dpi=130"]),
    ]
    results = [build(Tree, layers[:n], {}).settings.read for n in range(5)]
    assert [r.dpi for r in results] == [150, 100, 110, 120, 130]
    assert [r.layout for r in results] == ["ml", "fast", "fast", "fast", "fast"]


def test_every_value_says_where_it_comes_from(file):
    layers = [
        file("# a comment\nread:\n  layout: fast\n"),
        read_environment({"DOCRAG_EMBED__N_THREADS": "3"}),
        read_overrides(["read.dpi=99"]),
    ]
    assert origins(build(Tree, layers, {})) == {
        "read.layout": "my.yaml:3:3",
        "read.dpi": "--set read.dpi",
        "embed.kind": "default",
        "embed.n_threads": "DOCRAG_EMBED__N_THREADS",
        "steps": "default",
    }


def test_choosing_a_kind_brings_its_own_defaults():
    loaded = build(Tree, [read_overrides(["embed.kind=remote", "embed.model=big"])], {})
    assert loaded.settings.embed == Remote(model="big")
    assert origins(loaded)["embed.api_key"] == "default"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("read:\n  layot: fast\n", 'my.yaml:2:3: unknown key "read.layot"; did you mean layout?'),
        ("rea:\n  dpi: 1\n", 'my.yaml:1:1: unknown key "rea"; did you mean read?'),
        ("read:\n  zzz: 1\n", 'my.yaml:2:3: unknown key "read.zzz"; known: dpi, layout'),
        ("embed:\n  n_thread: 1\n", 'my.yaml:2:3: unknown key "embed.n_thread"; did you mean n_threads?'),
        ("embed:\n  kind: remot\n", 'my.yaml:2:3: embed.kind: "remot" is not known; did you mean remote?'),
        ("read:\n  layout: slow\n", 'my.yaml:2:3: read.layout: "slow" is not known; known: fast, ml'),
        (
            "embed:\n    n_threads: 0\n",
            "my.yaml:2:5: embed.n_threads: Input should be greater than or equal to 1",
        ),
        ("read: 5\n", 'my.yaml:1:1: read: expected settings such as "name: value" below it'),
    ],
)
def test_a_wrong_value_is_named_with_line_column_and_nearest_names(file, text, message):
    with pytest.raises(ConfigError) as caught:
        build(Tree, [file(text)], {})
    assert str(caught.value) == message


def test_every_wrong_value_is_named_at_once(file):
    with pytest.raises(ConfigError) as caught:
        build(Tree, [file("read:\n  a: 1\n  b: 2\n")], {})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("read: [1\nx: 2\n", "bad.yaml:2:2: not valid YAML"),
        (
            "embed: {api_key: ${MY_KEY}}\n",
            "bad.yaml:1:19: not valid YAML: expected ',' or '}', but got '{'; inside",
        ),
        ("- a\n", "bad.yaml: expected sections such as ingest:, got a list"),
        ("read:\n  dpi: 1\nread:\n  dpi: 2\n", 'bad.yaml:3:1: "read" is set twice'),
        ("a: &a\n  b: *a\n", "contains itself"),
        ("a: !!python/object/apply:os.system [true]\n", "bad.yaml:1:4: not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_its_place(file, text, message):
    with pytest.raises(ConfigError) as caught:
        file(text, "bad.yaml")
    assert message in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(path, name="x.yaml")


def test_an_empty_file_changes_nothing(file):
    assert build(Tree, [file("# nothing\n")], {}).settings == Tree()


@pytest.mark.parametrize("text", ["noequals", "=1", "a..b=1"])
def test_an_override_that_is_no_assignment_is_refused(text):
    with pytest.raises(ConfigError, match="expected NAME=VALUE"):
        read_overrides([text])


def test_an_unknown_override_is_named_with_the_nearest_names():
    with pytest.raises(ConfigError) as caught:
        build(Tree, [read_overrides(["read.layou=fast"])], {})
    assert str(caught.value) == '--set read.layou: unknown key "read.layou"; did you mean layout?'


def test_variables_without_a_double_underscore_are_no_settings():
    assert read_environment({"DOCRAG_DEBUG": "1", "OTHER__X": "1"}).values == {}


def test_text_that_looks_like_a_number_stays_text_where_text_is_wanted():
    layers = [read_environment({"DOCRAG_EMBED__KIND": "remote", "DOCRAG_EMBED__MODEL": "007"})]
    assert build(Tree, layers, {}).settings.embed.model == "007"


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_secret_is_taken_from_the_environment_and_masked_wherever_it_is_shown(file):
    layers = [file("embed:\n  kind: remote\n  api_key: ${MY_KEY}\n")]
    loaded = build(Tree, layers, {"MY_KEY": "canary"})
    assert loaded.settings.embed.api_key.get_secret_value() == "canary"
    shown = repr(loaded) + str(list(loaded.flat())) + loaded.settings.model_dump_json()
    assert "canary" not in shown


def test_an_unset_secret_is_named_with_the_line_that_mends_it(file):
    with pytest.raises(ConfigError) as caught:
        build(Tree, [file("embed:\n  kind: remote\n  api_key: ${MY_KEY}\n")], {})
    assert str(caught.value) == "my.yaml:3:3: embed.api_key needs MY_KEY, which is not set; export MY_KEY=…"


def test_variables_are_refused_where_no_secret_belongs(file):
    with pytest.raises(ConfigError, match="is for secrets only"):
        build(Tree, [file("embed:\n  kind: remote\n  model: ${HOME}\n")], {"HOME": "x"})


def test_a_secret_inside_a_list_is_taken_from_the_environment_too(file):
    layers = [file("steps:\n- {kind: remote, api_key: '${MY_KEY}'}\n- {kind: remote, model: big}\n")]
    loaded = build(Tree, layers, {"MY_KEY": "canary"})
    assert loaded.settings.steps[0].api_key.get_secret_value() == "canary"
    assert loaded.masked()["steps"][0]["api_key"] == "${MY_KEY}"
    assert "canary" not in repr(loaded) + str(list(loaded.flat()))
    assert origins(loaded)["steps.1.model"] == "my.yaml:1:1"
    with pytest.raises(ConfigError, match=r"my\.yaml:1:1: steps\.0\.api_key needs MY_KEY"):
        build(Tree, layers, {})


@pytest.mark.parametrize("text", ["steps: [{kind: remote, model: '${HOME}'}]", "names: ['a', '${HOME}']"])
def test_variables_are_refused_inside_lists_where_no_secret_belongs(file, text):
    class Named(Tree):
        names: tuple[str, ...] = ()

    with pytest.raises(ConfigError, match="is for secrets only"):
        build(Named, [file(text)], {"HOME": "x"})


def test_what_is_recorded_of_a_secret_is_its_variable_or_a_mask(file):
    remote = "embed: {kind: remote, api_key: '%s'}"
    masked = build(Tree, [file(remote % "${MY_KEY}")], {"MY_KEY": "canary"}).masked()
    assert masked["embed"]["api_key"] == "${MY_KEY}"
    for secret in (
        "canary",
        "canary${MY_KEY}",
        "${MY_KEY}canary",
    ):  # a part that is no variable is masked, too
        masked = build(Tree, [file(remote % secret)], {"MY_KEY": "canary"}).masked()
        assert masked["embed"]["api_key"] == "**********"


def test_an_error_beside_a_secret_does_not_print_it():
    layers = [Layer({"embed": {"kind": "remote", "api_key": ["canary"], "model": "x"}})]
    with pytest.raises(ConfigError) as caught:
        build(Tree, layers, {})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


# ── settings read back ───────────────────────────────────────────────────────────────────────────────────

RECORDED = {"embed": {"kind": "openai", "model": "m", "api_key": "**********"}}


def test_recorded_settings_are_read_back_whatever_the_environment_says():
    recorded = load("fast", overrides=["retrieval.depth=7"], environ={}).masked()
    again = load_recorded(recorded, name="x", environ={"DOCRAG_RETRIEVAL__DEPTH": "9"})
    assert again.settings == load_settings("fast", overrides=["retrieval.depth=7"], environ={})
    assert again.masked() == recorded


@pytest.mark.parametrize(
    ("overrides", "environ"),
    [(["embed.api_key=canary"], {}), ([], {"DOCRAG_EMBED__API_KEY": "canary"})],
)
def test_a_secret_that_was_masked_is_given_again(overrides, environ):
    loaded = load_recorded(RECORDED, name="x", overrides=overrides, environ=environ)
    assert loaded.settings.embed.api_key.get_secret_value() == "canary"
    assert loaded.masked()["embed"]["api_key"] == "**********"
    assert RECORDED["embed"]["api_key"] == "**********"  # left as it was


def test_a_masked_secret_that_nobody_gives_is_named_with_the_line_that_does():
    with pytest.raises(ConfigError) as caught:
        load_recorded(RECORDED, name="trace 12", environ={})
    assert str(caught.value) == (
        "trace 12: embed.api_key is a secret, which is not kept; give it with --set embed.api_key=…, "
        "or export DOCRAG_EMBED__API_KEY=…"
    )


# ── run files ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_file_is_read_with_its_section_and_without(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("preset: fast\nrun: {documents: reports, questions: ['what is ${HOME}?']}\n")
    loaded = load_run(path, overrides=["run.scope=collection"], environ={"DOCRAG_RUN__SEED": "3"})
    run = loaded.settings.run
    assert (run.documents, run.scope, run.seed) == (("reports",), "collection", 3)
    assert run.questions[0].question == "what is ${HOME}?"
    assert load_settings(path, environ={}) == load_settings("fast", environ={})


# ── the real tree and the presets ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads(name):
    assert isinstance(load_settings(name, environ={}), Settings)


def test_the_default_preset_is_there():
    assert "local" in presets()
    assert load_settings(environ={}) == load_settings("local", environ={})


def test_a_file_may_build_upon_a_preset(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("preset: fast\ningest:\n  ocr: never\n")
    settings = load_settings(path, environ={})
    assert (settings.ingest.layout, settings.ingest.ocr) == ("fast", "never")
    assert origins(load(path, environ={}))["ingest.layout"].startswith("preset fast:")


def test_a_file_that_names_no_preset_we_have_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("preset: fsat\n")
    with pytest.raises(ConfigError, match=r'mine\.yaml:1:1: no preset "fsat"; did you mean fast\?'):
        load_settings(path, environ={})


def test_a_name_that_is_neither_file_nor_preset_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="neither a file nor a preset; did you mean local"):
        read_config("locla")


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        read_config(tmp_path)


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_summed_up_in_a_sentence(name):
    summary = preset_summary(name)
    assert len(summary.split()) >= 4
    assert not summary.endswith((".", "et al"))
