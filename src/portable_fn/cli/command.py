"""Define the commands and their options."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from enum import StrEnum
from json import dumps as json_text
from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any

import typer

from portable_fn import __version__
from portable_fn.cli import check as checking
from portable_fn.cli import curl, matrix, payload, report, table
from portable_fn.cli import event as events
from portable_fn.cli.declared import declared, undeclared
from portable_fn.cli.delivering import Delivered, delivered
from portable_fn.cli.delivering import services as event_services
from portable_fn.cli.errors import FAILED, OK, USAGE, Failure
from portable_fn.cli.kinds import CLASSES, KINDS, named
from portable_fn.cli.matrix_table import print_matrix
from portable_fn.cli.sending import Sent, http_services, log_kept, send, services
from portable_fn.cli.target import Target
from portable_fn.errors import ConfigurationError, PortableError
from portable_fn.http import Request
from portable_fn.providers import ADAPTERS
from portable_fn.testing.project import Project, project
from portable_fn.testing.services import as_events

EPILOG = """
[bold]Examples[/bold]
  portable-fn invoke app.py:hello --as aws,azure
  portable-fn invoke app.py:pay --as aws,gcp --data '{"sku": "A1"}'
  portable-fn providers --kind Message
  portable-fn check app.py --for aws,azure
  portable-fn render message --data '{"sku": 1}' --to aws --via sqs
  portable-fn parse payload.json
  portable-fn replay recorded app.py --to gcp
  portable-fn redrive orders-dead --as aws --dry-run
"""

INVOKE_EPILOG = """
[bold]Examples[/bold]
  portable-fn invoke app.py:hello
  portable-fn invoke app.py:hello --path '/hello/Ada?loud=1' --as aws,azure
  portable-fn invoke app.py -X POST --path /items --json '{"name": "lamp"}' -H 'x-tenant: 7'
  portable-fn invoke package.module:hello --as aws/rest_api,aws/alb --output json
  portable-fn invoke app.py:pay --as aws,gcp --data '{"sku": "A1"}'
  portable-fn invoke app.py:thumbnail --as aws/s3/sns/sqs -f 'key=a b.png'

[bold]Exit codes[/bold]
  0  every provider answered with 2xx or 3xx, or acknowledged the events
  1  on some provider the function failed or answered with 4xx or 5xx, or an event is redelivered or dead-lettered
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
  portable-fn check app.py:ship --for aws,azure --via aws=sqs,azure=storage_queue
  portable-fn check package.module --all --output json

[bold]Exit codes[/bold]
  0  no function may lose data; other differences and settings are printed
  1  on some provider a function may lose data
  2  the command can't be understood, or names what doesn't exist
  3  the target's import, or an adapter's, failed
"""

RENDER_EPILOG = """
[bold]Examples[/bold]
  portable-fn render message --data '{"sku": 1}' --to aws --via sqs
  portable-fn render object -f bucket=uploads -f 'key=a b.png' --via s3/sns/sqs
  portable-fn render request -X POST --path /items --json '{"name": "lamp"}' --to aws --via rest_api
  portable-fn render message -d '{"sku": 1}' --via sqs | aws lambda invoke --function-name ship \\
    --cli-binary-format raw-in-base64-out --payload file:///dev/stdin /dev/stdout
  portable-fn render message -d '{"sku": 1}' --to gcp --curl | sh

[bold]Exit codes[/bold]
  0  the payload was printed
  2  the command can't be understood, names what doesn't exist, or the service can't carry such an event
"""

PARSE_EPILOG = """
[bold]Examples[/bold]
  portable-fn parse payload.json
  pbpaste | portable-fn parse - --provider aws --output json

[bold]Exit codes[/bold]
  0  the events were printed
  1  the payload isn't valid for its provider
  2  the command can't be understood, or no provider sends such a payload
"""

REPLAY_EPILOG = """
[bold]Examples[/bold]
  portable-fn replay recorded app.py
  portable-fn replay recorded app.py:ship --to gcp
  portable-fn replay recorded app.py --ignore id --ignore '/items/*/created_at'

[bold]Exit codes[/bold]
  0  every result is as it was recorded
  1  a result differs
  2  the command can't be understood, or names what doesn't exist
  3  the target's import failed
"""

app = typer.Typer(rich_markup_mode="rich", no_args_is_help=True)


REDRIVE_EPILOG = """
[bold]Examples[/bold]
  portable-fn redrive orders-dead --as aws --dry-run
  portable-fn redrive orders-dead --as aws --limit 10
  portable-fn redrive orders-dead-pull --as gcp --to projects/shop/topics/orders
  portable-fn redrive orders-poison --as azure --yes --output json

[bold]Exit codes[/bold]
  0  every dead letter was sent back and deleted, or --dry-run would do so
  1  some are left, or couldn't be deleted after they were sent
  2  the command can't be understood, or the queue can't be read
"""


class Output(StrEnum):
    """A form of output for people or programs."""

    TABLE = "table"
    JSON = "json"


class Format(StrEnum):
    """A form of output for people, programs or pages."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    try:
        code = app(None if arguments is None else list(arguments), prog_name="portable-fn", standalone_mode=False)
        # Python sets sys.stdout to None if it was closed at the start, as by `>&-`; print accepts that.
        print(end="", flush=True)
        return code or OK
    except Failure as exc:
        message, code = str(exc), exc.code
    except typer.TyperException as exc:
        message, code = exc.format_message(), USAGE
    except (typer.Abort, KeyboardInterrupt):
        message, code = "interrupted", 130
    except (BrokenPipeError, SystemExit):
        # The reader of the pipe has gone, such as `head`. Rich turns that into a SystemExit. Nothing more may be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    if message:
        print(f"portable-fn: {' '.join(message.split())}", file=sys.stderr)
    return code


def _project() -> Project:
    """Read the project's settings from pyproject.toml."""
    try:
        return project()
    except ConfigurationError as exc:
        raise Failure(str(exc)) from exc


def _wrapped(line: str) -> str:
    """Break the line between words at the terminal's width; in a pipe it stays one line."""
    if not sys.stdout.isatty():
        return line
    width = max(get_terminal_size().columns, 40)
    return fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _provider_names(incomplete: str) -> list[str]:
    """Complete a list of providers."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in (*ADAPTERS, "all") if name.startswith(last)]


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete.lower())]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"portable-fn {__version__}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def portable_fn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Write a handler once; run it on any serverless provider."""


@app.command(epilog=INVOKE_EPILOG)
def invoke(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="The function, app.py:hello or package.module:hello; or a file or module, whose routes choose the function.",
        ),
    ],
    providers: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAMES",
            help="Providers, or services: aws,azure or aws/rest_api. Default: the project's, or all.",
            autocompletion=_provider_names,
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-X", help="The method. Default: the first that the function declares.")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", help="Path and query. Default: one that fits the function's on.http.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="TEXT",
            help="A request's body unchanged, or an event's data as JSON; or @file. Repeat it for a batch of messages.",
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="JSON", help="A request's body and its content type.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header; can be repeated.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help=f"The kind to send, if the functions take several: {', '.join(KINDS)}.",
            autocompletion=_kinds,
        ),
    ] = None,
    body: Annotated[
        str | None, typer.Option("--body", metavar="TEXT", help="An event's body unchanged, or @file.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", "-f", metavar="NAME=VALUE", help="A field of an event, such as key=a; can be repeated."
        ),
    ] = None,
    time: Annotated[
        int,
        typer.Option(
            "--time",
            min=0,
            metavar="N",
            help="Send a request up to N more times to each provider and time the overhead; 100 is a good number.",
            show_default=False,
        ),
    ] = 0,
    output: Annotated[Output, typer.Option("--output", help="A table to read, or JSON for programs.")] = Output.TABLE,
) -> int:
    """Call a function as each provider would, with its real payloads, and show both sides."""
    parsed = Target.parse(target)
    # The user's prints must not get into our output.
    with redirect_stdout(sys.stderr), parsed.imported() as functions:
        if kind is None:
            like_request = bool(method or path or json or header)
            kind = events.kind_for(functions, like_request=like_request, like_event=bool(body is not None or field))
        event = events.event(
            kind,
            data=data or (),
            body=body,
            fields=field or (),
            method=method,
            path=path,
            json=json,
            headers=header or (),
            functions=functions,
        )
        names = [function.name for function in functions]
    if isinstance(event, Request):
        return _sent(parsed, names, event, providers, time, output)
    if time:
        raise Failure("--time is for requests")
    return _delivered(parsed, names, event, providers, output)


def _sent(
    target: Target, names: Sequence[str], request: Request[Any], providers: str | None, time: int, output: Output
) -> int:
    """Send the request to each provider, print the exchanges, and return the exit code."""
    asked = services(providers, http_services, _project())
    all_sent: list[Sent] = []
    for provider, service in asked:
        with redirect_stdout(sys.stderr), target.imported() as functions:
            all_sent.append(send(functions, request, provider, service, time))
    if output is Output.JSON:
        report.print_json(target.place, names, request, all_sent)
    else:
        table.print_table(target.place, names, request, all_sent)
    is_named = providers not in (None, "all")
    return OK if all(_went_well(sent, is_named) for sent in all_sent) else FAILED


def _delivered(target: Target, names: Sequence[str], event: Any, providers: str | None, output: Output) -> int:
    """Deliver the events by each provider, print the outcomes, and return the exit code."""
    asked = services(providers, lambda provider: event_services(event, provider), _project())
    all_delivered: list[Delivered] = []
    for provider, service in asked:
        with redirect_stdout(sys.stderr), target.imported() as functions:
            all_delivered.append(delivered(functions, event, provider, service))
    if output is Output.JSON:
        report.print_deliveries(target.place, names, as_events(event), all_delivered)
    else:
        table.print_deliveries(target.place, names, as_events(event), all_delivered)
    return OK if all(_was_done(each, named=providers not in (None, "all")) for each in all_delivered) else FAILED


def _was_done(delivered: Delivered, *, named: bool) -> bool:
    if delivered.missing:
        return not named
    delivery = delivered.delivery
    return delivery is not None and set(delivery.outcomes) == {"acknowledged"} and delivery.error is None


@app.command(epilog=PROVIDERS_EPILOG)
def providers(
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help=f"One kind of event: {', '.join(KINDS)}. Default: all.",
            autocompletion=_kinds,
        ),
    ] = None,
    provider: Annotated[
        str,
        typer.Option("--provider", metavar="NAMES", help="Providers: aws,azure.", autocompletion=_provider_names),
    ] = "all",
    output: Annotated[
        Format, typer.Option("--output", help="Tables to read, Markdown, or JSON for programs.")
    ] = Format.TABLE,
) -> int:
    """Show what each service of each provider can do: natively, emulated (how), or not (why)."""
    asked = declared(provider, "--provider")
    kind = None if kind is None else CLASSES[named(kind, "--kind")]
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
            metavar="TARGET", help="The function, app.py:hello or package.module:hello; or a file or module."
        ),
    ],
    providers: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="NAMES",
            help="Providers: aws,azure. Default: the project's, or all.",
            autocompletion=_provider_names,
        ),
    ] = None,
    via: Annotated[
        list[str] | None,
        typer.Option(
            "--via",
            metavar="PROVIDER=SERVICE",
            help="The services: aws=sqs,azure=storage_queue; can be repeated. Default: any.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also show what is emulated, and what the functions don't use.")
    ] = False,
    output: Annotated[
        Format, typer.Option("--output", help="Lines to read, Markdown, or JSON for programs.")
    ] = Format.TABLE,
) -> int:
    """List what wouldn't hold on the providers for each function, with file and line."""
    own = _project()
    asked = declared(providers, "--for", own.providers)
    services_meant = own.services | checking.narrowed(via or (), asked)
    parsed = Target.parse(target)
    with redirect_stdout(sys.stderr), parsed.imported() as functions:
        findings = checking.check(functions, asked, services_meant)
    if not everything:
        findings = [finding for finding in findings if finding.level != checking.NOTE]
    if output is Format.JSON:
        report.print_object(checking.as_json(parsed.place, functions, findings, asked))
    elif output is Format.MARKDOWN:
        sys.stdout.write(checking.markdown(findings))
    else:
        for line in [*checking.lines(findings), checking.summary(functions, findings, asked)]:
            typer.echo(_wrapped(line))
    if missing := undeclared(asked):
        print(f"portable-fn: not checked, because they declare nothing: {', '.join(missing)}", file=sys.stderr)
    return FAILED if any(finding.level == checking.LOSES for finding in findings) else OK


@app.command(epilog=RENDER_EPILOG)
def render(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"The kind of event: {', '.join(KINDS)}.", autocompletion=_kinds)
    ],
    to: Annotated[str, typer.Option("--to", metavar="PROVIDER", help="The provider of the payload.")] = "aws",
    via: Annotated[
        str | None,
        typer.Option("--via", metavar="SERVICE", help="The provider's service, from the inside out: s3/sns/sqs."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="JSON",
            help="The data as JSON, or a request's body unchanged; or @file. Repeat it for a batch of messages.",
        ),
    ] = None,
    body: Annotated[str | None, typer.Option("--body", metavar="TEXT", help="The body unchanged, or @file.")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", "-f", metavar="NAME=VALUE", help="Any other field, such as key=a; can be repeated."),
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-X", help="A request's method. Default: GET or POST.")
    ] = None,
    path: Annotated[str | None, typer.Option("--path", help="A request's path and query.")] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="JSON", help="A request's body and its content type.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header; can be repeated.")
    ] = None,
    as_curl: Annotated[
        bool, typer.Option("--curl", help="Print a curl command that sends it to a function on this machine.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The address for curl. Default: that of the provider's tool."),
    ] = None,
) -> int:
    """Print the payload that a provider would send for an event, for the provider's command line."""
    event = events.event(
        kind,
        data=data or (),
        body=body,
        fields=field or (),
        method=method,
        path=path,
        json=json,
        headers=header or (),
    )
    native = payload.rendered(event, to, via)
    if url is not None and not as_curl:
        raise Failure("--url is for --curl")
    typer.echo(curl.command(native, to, url) if as_curl else json_text(native, indent=2, ensure_ascii=False))
    return OK


@app.command(epilog=PARSE_EPILOG)
def parse(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file with a payload as JSON; - reads stdin.")],
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="The provider. Default: guessed by the payload.")
    ] = None,
    via: Annotated[
        str | None, typer.Option("--via", metavar="SERVICE", help="The service, if the payload doesn't name it.")
    ] = None,
    output: Annotated[Output, typer.Option("--output", help="Text to read, or JSON for programs.")] = Output.TABLE,
) -> int:
    """Show the neutral events in a payload from a provider's console or log."""
    with redirect_stdout(sys.stderr):
        provider, parsed = payload.events(payload.read(file), provider, via)
    if output is Output.JSON:
        report.print_object(payload.as_json(provider, parsed))
    else:
        typer.echo(payload.text(provider, parsed))
    return OK


@app.command(epilog=REPLAY_EPILOG)
def replay(
    recorded: Annotated[
        str,
        typer.Argument(
            metavar="RECORDED", help="The folder of PORTABLE_FN_RECORD, a file in it, or a log with its lines."
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="The function, app.py:hello or package.module:hello; or a file or module."
        ),
    ],
    to: Annotated[
        str | None, typer.Option("--to", metavar="PROVIDER", help="Another provider than the recorded one.")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="PATH",
            help="A member of a JSON answer that may differ: created_at, or /items/*/id; can be repeated.",
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", help="Lines to read, or JSON for programs.")] = Output.TABLE,
) -> int:
    """Run recorded invocations again and show the differences."""
    parsed = Target.parse(target)
    with redirect_stdout(sys.stderr), parsed.imported() as functions, log_kept([]):
        replayed = payload.replayed(recorded, functions, to, ignore or ())
    if output is Output.JSON:
        report.print_object(payload.replay_as_json(replayed))
    else:
        typer.echo(payload.replay_text(replayed))
    return FAILED if replayed.differences else OK


@app.command(epilog=REDRIVE_EPILOG)
def redrive(
    queue: Annotated[
        str,
        typer.Argument(
            metavar="QUEUE",
            help="The dead letters: an SQS queue, a Pub/Sub subscription to the dead letters' topic, a storage queue.",
        ),
    ],
    where: Annotated[
        str, typer.Option("--as", metavar="PROVIDER", help="The queue's provider, or service: aws or aws/sqs.")
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="QUEUE", help="The queue or topic to send to. Default: the source of each event."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="At most N dead letters. Default: all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send and delete nothing; show what would be sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")] = False,
    output: Annotated[Output, typer.Option("--output", help="Lines to read, or JSON for programs.")] = Output.TABLE,
) -> int:
    """Send dead letters back as the rejected events, and delete each after its event is sent."""
    from portable_fn.cli import redrive as redriving

    letters = redriving.letters_of(queue, where)
    if not (dry_run or yes):
        if not sys.stdin or not sys.stdin.isatty():
            raise Failure("redrive asks for confirmation, which needs a terminal: add --yes or --dry-run")
        typer.confirm(f"Send the dead letters of {queue} back to {to or 'their sources'}?", abort=True, err=True)
    outcomes = []
    try:
        for outcome in redriving.redriven(letters, to, limit, dry_run):
            outcomes.append(outcome)
            if output is Output.TABLE:
                typer.echo(str(outcome))
    except PortableError as exc:
        raise Failure(str(exc), FAILED) from exc
    if output is Output.JSON:
        report.print_object(redriving.as_json(outcomes))
    else:
        typer.echo(redriving.summary(outcomes))
    return FAILED if any(each.outcome == redriving.LEFT or each.why for each in outcomes) else OK


def _went_well(sent: Sent, named: bool) -> bool:
    if sent.missing:
        return not named
    return sent.answer is not None and sent.answer.status < 400
