"""The commands and their options."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from enum import StrEnum
from typing import Annotated

import typer

from portable_fn import __version__
from portable_fn.cli import check as checking
from portable_fn.cli import matrix, report, table
from portable_fn.cli.declared import declared, kind_named, undeclared
from portable_fn.cli.failure import FAILED, OK, USAGE, Failure
from portable_fn.cli.matrix_table import print_matrix
from portable_fn.cli.request import request as described
from portable_fn.cli.sending import Sent, send, services
from portable_fn.cli.target import Target

REPEAT = 100

EPILOG = """
[bold]Examples[/bold]
  portable-fn invoke app.py:hello --as aws,azure
  portable-fn providers --kind Message
  portable-fn check app.py --for aws,azure
"""

INVOKE_EPILOG = """
[bold]Examples[/bold]
  portable-fn invoke app.py:hello
  portable-fn invoke app.py:hello --path '/hello/Ada?loud=1' --as aws,azure
  portable-fn invoke app.py -X POST --path /items --json '{"name": "lamp"}' -H 'x-tenant: 7'
  portable-fn invoke package.module:hello --as aws/rest_api,aws/alb --output json

[bold]Exit codes[/bold]
  0  every provider answered with 2xx or 3xx
  1  on some provider the function failed or answered with 4xx or 5xx
  2  the command can't be understood, or names what doesn't exist
  3  the target's import failed
"""

PROVIDERS_EPILOG = """
[bold]Examples[/bold]
  portable-fn providers --kind Message
  portable-fn providers --provider aws,azure --output markdown

[bold]Exit codes[/bold]
  0  the matrix was printed
  2  the command can't be understood, or names what doesn't exist
  3  an adapter's import failed
"""

CHECK_EPILOG = """
[bold]Examples[/bold]
  portable-fn check app.py --for aws,azure
  portable-fn check app.py:ship --for aws --via aws=sqs
  portable-fn check package.module --all --output json

[bold]Exit codes[/bold]
  0  no function may lose data; what else wouldn't hold is printed, and what must be set
  1  on some provider a function may lose data
  2  the command can't be understood, or names what doesn't exist
  3  the target's import, or an adapter's, failed
"""

app = typer.Typer(rich_markup_mode="rich", add_completion=False, no_args_is_help=True)


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def run(arguments: Sequence[str] | None) -> int:
    """Runs the command line and gives its exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    try:
        code = app(None if arguments is None else list(arguments), prog_name="portable-fn", standalone_mode=False)
        sys.stdout.flush()
        return code or OK
    except Failure as exc:
        message, code = str(exc), exc.code
    except typer.TyperException as exc:
        message, code = exc.format_message(), USAGE
    except (typer.Abort, KeyboardInterrupt):
        message, code = "interrupted", 130
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe has gone, as `head` does; Rich makes a SystemExit of it. Nothing more must be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    if message:
        print(f"portable-fn: {' '.join(message.split())}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"portable-fn {__version__}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def portable_fn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """One Python handler, any serverless provider."""


@app.command(epilog=INVOKE_EPILOG)
def invoke(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The function, app.py:hello or package.module:hello; or a whole file or module, whose paths decide.",
        ),
    ],
    providers: Annotated[
        str, typer.Option("--as", metavar="NAMES", help="Providers, or services of one: aws,azure or aws/rest_api.")
    ] = "all",
    method: Annotated[
        str | None, typer.Option("--method", "-X", help="The method; else the first that the function declares.")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", help="Path and query; else one that fits the function's on.http.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar="TEXT", help="The body, or @file for what a file holds.")
    ] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="JSON", help="The body and its content type.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header; may be repeated.")
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(
            "--repeat",
            min=0,
            metavar="N",
            help=f"Calls the function up to N more times on each provider to time it; {REPEAT} for GET and HEAD, else 0.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", help="A table to read, or JSON for programs.")] = Output.TABLE,
) -> int:
    """Calls a function as each provider would call it, through the provider's real shapes, and shows both sides."""
    asked = services(providers)
    found = Target.parse(target)
    # What the user's code prints must not get into our output.
    with redirect_stdout(sys.stderr), found.imported() as functions:
        request = described(functions, method=method, path=path, data=data, json=json, headers=header or ())
        names = [function.name for function in functions]
    if repeat is None:
        repeat = REPEAT if request.method in ("GET", "HEAD", "OPTIONS") else 0
    all_sent: list[Sent] = []
    for provider, service in asked:
        with redirect_stdout(sys.stderr), found.imported() as functions:
            all_sent.append(send(functions, request, provider, service, repeat))
    if output is Output.JSON:
        report.print_json(found.place, names, request, all_sent)
    else:
        table.print_table(found.place, names, request, all_sent)
    named = providers != "all"
    return OK if all(_went_well(sent, named) for sent in all_sent) else FAILED


@app.command(epilog=PROVIDERS_EPILOG)
def providers(
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="One kind of event, such as Message; else all.")
    ] = None,
    provider: Annotated[str, typer.Option("--provider", metavar="NAMES", help="Providers: aws,azure.")] = "all",
    output: Annotated[
        Format, typer.Option("--output", help="Tables to read, Markdown, or JSON for programs.")
    ] = Format.TABLE,
) -> int:
    """Shows what each service of each provider can do: natively, emulated (how), or not (why)."""
    asked = declared(provider, "--provider")
    kind = None if kind is None else kind_named(kind)
    if output is Format.JSON:
        report.print_object(matrix.as_json(asked, kind))
    elif output is Format.MARKDOWN:
        sys.stdout.write(matrix.markdown(asked, kind))
    else:
        print_matrix(table.stdout(), asked, kind)
    return OK


@app.command(epilog=CHECK_EPILOG)
def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="The function, app.py:hello or package.module:hello; or a whole file or module."
        ),
    ],
    providers: Annotated[str, typer.Option("--for", metavar="NAMES", help="Providers: aws,azure.")] = "all",
    via: Annotated[
        list[str] | None,
        typer.Option("--via", metavar="PROVIDER=SERVICE", help="The service that is meant: aws=sqs; may be repeated."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show also what is emulated, and what the functions don't use.")
    ] = False,
    output: Annotated[
        Format, typer.Option("--output", help="Lines to read, Markdown, or JSON for programs.")
    ] = Format.TABLE,
) -> int:
    """Lists for each function what would not hold on the providers, with its file and line."""
    asked = declared(providers, "--for")
    services_meant = checking.narrowed(via or (), asked)
    found = Target.parse(target)
    with redirect_stdout(sys.stderr), found.imported() as functions:
        findings = checking.check(functions, asked, services_meant)
    if not everything:
        findings = [finding for finding in findings if finding.level != checking.NOTE]
    if output is Format.JSON:
        report.print_object(checking.as_json(found.place, functions, findings, asked))
    elif output is Format.MARKDOWN:
        sys.stdout.write(checking.markdown(findings))
    else:
        for finding in findings:
            typer.echo(str(finding))
        typer.echo(checking.summary(functions, findings, asked))
    if missing := undeclared(asked):
        print(f"portable-fn: not declared yet, so not checked: {', '.join(missing)}", file=sys.stderr)
    return FAILED if any(finding.level == checking.LOSES for finding in findings) else OK


def _went_well(sent: Sent, named: bool) -> bool:
    if sent.missing:
        return not named
    return sent.answer is not None and sent.answer.status < 400
