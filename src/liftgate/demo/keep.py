"""The shop kept running, for people to ask it."""

from __future__ import annotations

import signal

from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.bundle.load import load_bundle
from liftgate.demo import server
from liftgate.demo.people import people, person_id
from liftgate.demo.run import Options, load
from liftgate.demo.shop import BUNDLE, MODELS


def keep(console: Console, options: Options, port: int, metrics_port: int) -> None:
    """Serve the shop on a port until Ctrl-C or SIGTERM; `metrics_port` 0: no metrics.

    Raises ServerFailed when the server ends by itself.
    """
    shoppers = people(options.people, options.seed)
    bundle = load_bundle(BUNDLE, MODELS)
    with EmbeddedValkey() as valkey:
        stored = load(valkey.url, shoppers, bundle, lambda count: None)
        service = server.start(valkey.url, options.log, options.said, port, metrics_port, quiet=False)
        try:
            console.print(f"[bold green]Serving[/bold green] the shop on {service.target} ({stored:,} people). Ctrl-C stops it.\n")
            at = "" if port == 7420 else f" --target {service.target}"
            ask = f".venv/bin/liftgate decide --person {person_id(7)} --placement"
            for command in (
                f"{ask} home.hero --channel web --explain{at}",
                f"{ask} cart.banner --channel app --attribute basket_value=55.0 --explain{at}",
                f".venv/bin/liftgate decide --person nobody --placement home.hero --channel web --gpc --explain{at}",
                *([f"curl -s http://127.0.0.1:{metrics_port}/metrics | grep liftgate"] if metrics_port else []),
            ):
                console.print(f"  {command}", style="cyan", soft_wrap=True, highlight=False)
            console.print(f"\nLog: {options.log}    Server's words: {options.said}", style="dim", highlight=False)
            service.process.wait()
            raise server.ServerFailed(f"the server ended with exit code {service.process.returncode}:\n{server.tail(service.said)}")
        except KeyboardInterrupt:
            console.print("Draining ...")
            # Ctrl-C reaches the whole foreground group: the server may be draining already.
            service.process.send_signal(signal.SIGTERM)
            service.process.wait()
            console.print("Stopped. The log is sealed.")
        finally:
            service.kill()
