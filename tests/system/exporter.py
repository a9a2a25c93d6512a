"""An exporter by the official client library of Prometheus. Each line on standard input adds to its metrics and
prints what they are then, as JSON.

usage: exporter.py   (prints its port first)
"""

import json
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.exposition import generate_latest

ODD = ['a,b="c"', "back\\slash", "two\nlines", "{brace}", "ä", "", " # "]

registry = CollectorRegistry()
orders = Counter("shop_orders", "Orders.", ["mode"], registry=registry)
load = Gauge("shop_load", "Load.", ["mode"], registry=registry)
seconds = Histogram("shop_seconds", "Seconds.", buckets=[0.1, 1.0], registry=registry)
sizes = Summary("shop_sizes", "Sizes.", registry=registry)
hidden = Gauge("shop_canary", "Not listed.", ["mode"], registry=registry)
hidden.labels("canary").set(1)


def add(amount):
    for place, mode in enumerate(ODD):
        orders.labels(mode).inc(amount + place)
        load.labels(mode).set(amount * 0.5 + place)
    seconds.observe(amount / 10)
    seconds.observe(20)
    sizes.observe(amount)


add(1)
server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
print(server.server_port, flush=True)
for line in sys.stdin:
    add(int(line))
    # What the reference reads in its own text.
    read = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                read.setdefault(sample.name, []).append([sample.labels, sample.value])
    print(json.dumps(read), flush=True)
