#!/usr/bin/env python3
"""Lists what OpenTelemetry publishes, for tests/semconv.rs.

    pip install --target DIR opentelemetry-semantic-conventions
    PYTHONPATH=DIR tests/semconv/list.py > tests/semconv/semconv-1.44.txt

One line for each metric (`metric NAME INSTRUMENT UNIT`) and each attribute (`attribute NAME`, followed
by the published values where they are enumerated) of the namespaces that the catalog may use. What is
deprecated is left out. The package does not tell the types of attributes that are not enumerated.
"""

import importlib.metadata
import pathlib
import re

from opentelemetry.semconv import _incubating
from opentelemetry.semconv.schemas import Schemas

NAMESPACES = ("system", "process", "host", "os", "device", "hw", "container", "k8s", "network", "disk", "cpu", "exception")
DOCUMENTED = re.compile(r'^([A-Z0-9_]+): Final = "([^"]+)"\n"""\n(.*?)"""', re.S | re.M)


def published(kind, namespace):
    """Constant, name and description of all that is not deprecated."""
    path = pathlib.Path(_incubating.__path__[0], kind, f"{namespace}_{kind}.py")
    if not path.exists():
        return
    for constant, name, text in DOCUMENTED.findall(path.read_text()):
        if not text.startswith("Deprecated:"):
            yield constant, name, text


def values(namespace, constant):
    """The enumerated values of an attribute that are not deprecated."""
    path = pathlib.Path(_incubating.__path__[0], "attributes", f"{namespace}_attributes.py")
    name = constant.title().replace("_", "")
    found = re.search(rf"^class {name}Values\(Enum\):\n((?:    .*\n|\n(?=    ))*)", path.read_text(), re.M)
    words = re.findall(r'= "([^"]+)"\n    """(.*)', found[1]) if found else []
    return [word for word, text in words if not text.startswith("Deprecated:")]


package = "opentelemetry-semantic-conventions"
print(f"# {list(Schemas)[-1].value}, from {package} {importlib.metadata.version(package)}")
for namespace in NAMESPACES:
    for _, name, text in published("metrics", namespace):
        instrument, unit = re.search(r"Instrument: (\S+)\nUnit: (\S+)", text).groups()
        print("metric", name, instrument, unit)
    for constant, name, _ in published("attributes", namespace):
        print("attribute", name, *values(namespace, constant))
