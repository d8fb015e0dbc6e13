"""``docrag config``: the settings in force, and what settings there are."""

from __future__ import annotations

from typing import Annotated

import typer

from docrag.cli.options import ConfigOption, JsonOption, QuietOption, SetOption
from docrag.cli.output import Output

app = typer.Typer(help="Show and describe the settings.", no_args_is_help=True)


@app.command("show")
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show every setting: defaults, preset, file, environment and --set together; secrets are masked."""
    from docrag.config import load

    output = Output(as_json=as_json, quiet=quiet)
    loaded = load(config, overrides=set_ or ())
    if as_json:
        values: dict[str, object] = {"settings": loaded.settings.model_dump(mode="json")}
        if origin:
            values["origins"] = {name: place for name, _, place in loaded.flat()}
        output.json(values)
    elif origin:
        from rich.table import Table

        table = Table("setting", "value", "origin", box=None, pad_edge=False)
        for name, value, place in loaded.flat():
            table.add_row(name, str(value), place)
        output.print(table)
    else:
        import yaml

        text = yaml.safe_dump(loaded.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        output.print(text.rstrip())


@app.command("presets")
def presets(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List the presets, which --config takes by name, with the first words of what each says of itself."""
    from docrag.config.sources import preset_summary
    from docrag.config.sources import presets as names

    output = Output(as_json=as_json, quiet=quiet)
    found = {name: preset_summary(name) for name in names()}
    if as_json:
        output.json([{"preset": name, "summary": summary} for name, summary in found.items()])
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, summary in found.items():
        table.add_row(name, summary)
    output.print(table)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of configuration files, with which editors complete and check them.

    Write it to a file, and name that in the first line of your YAML: # yaml-language-server: $schema=FILE
    """
    from docrag.config.schema import settings_schema

    Output(as_json=True).json(settings_schema())


@app.callback()
def _group() -> None:
    """Show and describe the settings."""
