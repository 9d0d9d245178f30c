"""`liftgate measure WHAT`: one file a subcommand.

To add one: write `measure_WHAT.py` beside this file with `register(app: typer.Typer) -> None` that adds one typer command, and name it in
_SUBCOMMANDS below. The options that it shares with others are declared in measure_options and come in by `sharing`. Its function ends with
`measure_answer.answer(what, given, compute, show)`, where `compute` imports what is heavy (everything under liftgate.measure), opens the
table by `liftgate.measure.table.open_table`, returns plain data, and raises `Refused` or `Misused`. Refusal codes are listed in
docs/measurement.md.
"""

from __future__ import annotations

import importlib

import typer

_SUBCOMMANDS = (
    "liftgate.app.cli.measure_quality",
    "liftgate.app.cli.measure_table",
    "liftgate.app.cli.measure_srm",
    "liftgate.app.cli.measure_lift",
    "liftgate.app.cli.measure_ope",
    "liftgate.app.cli.measure_uplift",
    "liftgate.app.cli.measure_calibration",
    "liftgate.app.cli.measure_drift",
    "liftgate.app.cli.measure_power",
    "liftgate.app.cli.measure_sequential",
    "liftgate.app.cli.measure_funnel",
)
_HELP = """Say what an experiment was worth, or why nobody can say: from any table, CSV or Parquet.

Exit codes: 0 answered, 3 refused (the data cannot carry the answer; it says why and what to do), 2 asked wrongly.

docs/measurement.md leads from a question to a decision.
"""

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep a subcommand a word of its own while it is the only one."""


for _module in _SUBCOMMANDS:
    importlib.import_module(_module).register(app)
