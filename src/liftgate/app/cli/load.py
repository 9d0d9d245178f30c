"""`liftgate load`: how a server answers under load that does not wait for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from liftgate.app.cli.say import fail

DEFAULT_TARGET = "127.0.0.1:7420"
_FAILED, _WRONG = 1, 2
_IN_FLIGHT = 64
_SEED = 1


def register(app: typer.Typer) -> None:
    """Add `load` to the app."""
    app.command("load")(load)


def load(
    placement: Annotated[str, typer.Option("--placement", help="The placement's name in the bundle.")],
    target: Annotated[
        str, typer.Option("--target", envvar="LIFTGATE_TARGET", help="Where the server is, HOST:PORT, plaintext.")
    ] = DEFAULT_TARGET,
    rate: Annotated[float | None, typer.Option("--rate", min=0.1, help="Requests per second, on average.")] = None,
    ramp: Annotated[
        str | None, typer.Option("--ramp", metavar="FROM:TO[:STEP]", help="Rates in steps; --duration is that of each.")
    ] = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="Keep --in-flight calls going, as fast as replies come: finds saturation.")
    ] = False,
    duration: Annotated[str, typer.Option("--duration", help="How long: 500ms, 30s, 2m.")] = "30s",
    connections: Annotated[int, typer.Option("--connections", min=1, max=500, help="HTTP/2 connections; requests take turns on them.")] = 4,
    in_flight: Annotated[
        int | None,
        typer.Option("--in-flight", min=1, help="Most calls in flight (closed: how many; default 64). Waiting counts as latency."),
    ] = None,
    people: Annotated[
        str, typer.Option("--people", metavar="FILE|N", help="A person's id or a DecideRequest in JSON a line; or how many.")
    ] = "1000",
    channel: Annotated[str, typer.Option("--channel", help="The channel of requests that name none.")] = "",
    deadline: Annotated[str | None, typer.Option("--deadline", help="Sent as grpc-timeout; replies within it are counted: 50ms.")] = None,
    arrivals: Annotated[
        str | None,
        typer.Option(
            "--arrivals", metavar="poisson|constant", help="As strangers come, or evenly. Not with --closed.", show_default="poisson"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Of the Poisson schedule: the same seed, the same schedule.", show_default="1"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask for dry runs: no cap is charged and nothing is recorded.")] = False,
    method: Annotated[str, typer.Option("--method", help="The gRPC method, if another one takes a DecideRequest.")] = "",
    hdr: Annotated[Path | None, typer.Option("--hdr", metavar="FILE", help="Write HdrHistogram's percentile distribution, in ms.")] = None,
    my_server: Annotated[bool, typer.Option("--yes-this-is-my-server", help="Load a server that is not on this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load a server and say how it answered, from the moment each request was due.

    The schedule is fixed before the first request and does not wait for replies: where the server stalls, every request that was due
    meanwhile shows it. Every reply is looked at: grpc-status, and that it holds an offer or a reason. No TLS. Decisions are real ones
    unless --dry-run is given: they charge caps and are recorded. docs/load-testing.md has more.

    Exit codes: 0 every request got a good reply, 1 some did not or the server is away, 2 asked wrongly.

    Example: liftgate load --placement home.hero --rate 2000 --duration 30s --deadline 50ms

    Example: liftgate load --placement home.hero --ramp 1000:8000:1000 --duration 10s --hdr latency.hgrm

    Example: liftgate load --placement home.hero --closed --in-flight 64 --duration 10s --json
    """
    from liftgate.load import arguments, frames, requests
    from liftgate.load.connection import Peer
    from liftgate.load.connections import Unreachable
    from liftgate.load.hdr import distribution
    from liftgate.load.run import closed_run, open_run
    from liftgate.load.schedule import ARRIVALS, CONSTANT, POISSON

    if (rate is not None) + (ramp is not None) + closed != 1:
        fail("say one of --rate N, --ramp FROM:TO[:STEP] and --closed", _WRONG, as_json)
    if closed and (arrivals is not None or seed is not None):
        ignored = "--arrivals" if arrivals is not None else "--seed"
        fail(
            f"{ignored} is of a schedule, and --closed has none: it sends when a reply has come; leave one of the two out", _WRONG, as_json
        )
    if arrivals == CONSTANT and seed is not None:
        fail("--seed draws Poisson arrivals, and --arrivals constant draws nothing; leave one of the two out", _WRONG, as_json)
    if arrivals is not None and arrivals not in ARRIVALS:
        fail(f"--arrivals: wants {' or '.join(ARRIVALS)}, not {arrivals!r}", _WRONG, as_json)
    # Known before the minutes of load, not after them.
    if hdr is not None and (hdr.is_dir() or not hdr.parent.is_dir()):
        fail(f"--hdr {hdr}: wants a file in a folder that is there", _WRONG, as_json)
    most = in_flight or (_IN_FLIGHT if closed else None)
    template = requests.template(placement, channel, dry_run)
    try:
        seconds = arguments.duration_s(duration, "--duration")
        deadline_ms = None if deadline is None else arguments.duration_s(deadline, "--deadline") * 1e3
        host, port = arguments.address(target, my_server)
        schedule = None if closed else arguments.schedule(rate, ramp, seconds, arrivals or POISSON, _SEED if seed is None else seed)
        path = arguments.method(method, requests.DECIDE)
        tails = requests.numbered(int(people), template) if people.isdecimal() else requests.people(Path(people), template)
        peer = Peer.find(host, port, frames.request_headers(target, path, deadline_ms))
        bodies = requests.bodies(tails)
        if schedule is None:
            outcome = closed_run(peer, bodies, seconds, connections, most or _IN_FLIGHT, deadline_ms)
        else:
            outcome = open_run(peer, bodies, schedule, connections, most, deadline_ms)
    except ValueError as err:
        fail(str(err), _WRONG, as_json)
    except Unreachable as err:
        fail(f"{target}: {err}", _FAILED, as_json)
    except OSError as err:
        fail(f"{err.filename or target}: {err.strerror or err}", _WRONG, as_json)
    found = {
        "target": target,
        "mode": "closed" if closed else "open",
        "placement": placement,
        "people": len(tails),
        "connections": min(connections, most) if most else connections,
        "in_flight": most,
        **outcome.data,
    }
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        from liftgate.app.cli.load_print import show

        show(found, outcome.start_ns, outcome.latency_ns)
    if hdr is not None:
        try:
            hdr.write_text(distribution(outcome.latency_ns), encoding="utf-8")
        except ValueError as err:
            fail(f"--hdr: {err}", _FAILED, as_json)
        except OSError as err:
            fail(f"--hdr {hdr}: {err.strerror}", _WRONG, as_json)
    raise typer.Exit(0 if found["ok"] and not found["failed"] else _FAILED)
