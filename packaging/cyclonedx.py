"""Writes what a program is made of, as CycloneDX 1.5, from what cargo says about its dependencies.

    cargo metadata … | cyclonedx.py PROGRAM VERSION CRATE… > sbom.cdx.json

The same lock file gives the same bytes: no time, and a serial number made from the content.
"""

import json
import sys
import uuid

METADATA, PROGRAM, VERSION, CRATES = json.load(sys.stdin), sys.argv[1], sys.argv[2], sys.argv[3:]
PACKAGES = {package["id"]: package for package in METADATA["packages"]}
NODES = {node["id"]: node for node in METADATA["resolve"]["nodes"]}


def needed(identity):
    """What goes into the program: dependencies for building, but none for testing."""
    for dependency in NODES[identity]["deps"]:
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            yield dependency["pkg"]


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package):
    entry = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package.get("license"):
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return entry


def main():
    roots = [package["id"] for package in METADATA["packages"] if package["name"] in CRATES]
    reached, waiting = set(), list(roots)
    while waiting:
        identity = waiting.pop()
        if identity not in reached:
            reached.add(identity)
            waiting.extend(needed(identity))
    packages = sorted((PACKAGES[identity] for identity in reached), key=reference)
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": PROGRAM, "name": PROGRAM, "version": VERSION}
        },
        "components": [component(package) for package in packages],
        "dependencies": [{"ref": PROGRAM, "dependsOn": sorted(reference(PACKAGES[root]) for root in roots)}]
        + [
            {
                "ref": reference(package),
                "dependsOn": sorted({reference(PACKAGES[other]) for other in needed(package["id"])}),
            }
            for package in packages
        ],
    }
    content = json.dumps(bill, sort_keys=True)
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    json.dump(bill, sys.stdout, indent=1, sort_keys=True)
    print()


main()
