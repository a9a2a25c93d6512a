"""Names a package of Windows Installer, and gives it the times of its commit in place of this moment's.

    settle.py codes VERSION FILE...     prints the product's code and the package's code
    settle.py times MSI SECONDS         writes both times of the summary

The product's code follows from the version, the package's code from the version and from what is in the
package: the same content has the same name, and another content another one.
"""

import hashlib
import struct
import sys
import uuid
from pathlib import Path

NAMESPACE = uuid.UUID("5d6e0c4b-6f0c-4c6b-9c61-0b2c3a54d9e1")
# FMTID_SummaryInformation as it stands in the file.
SUMMARY = bytes.fromhex("e0859ff2f94f6810ab9108002b27b3d9")
CREATED, SAVED, FILETIME = 12, 13, 0x40
EPOCH_DIFFERENCE = 134_774 * 86_400


def codes(version, files):
    content = hashlib.sha256()
    for file in sorted(files):
        data = Path(file).read_bytes()
        content.update(f"{Path(file).name}\0{len(data)}\0".encode())
        content.update(data)
    product = uuid.uuid5(NAMESPACE, f"product {version}")
    package = uuid.uuid5(NAMESPACE, f"package {version} {content.hexdigest()}")
    print(str(product).upper(), str(package).upper())


def times(msi, seconds):
    data = bytearray(Path(msi).read_bytes())
    found = data.find(SUMMARY)
    if found < 0 or data.find(SUMMARY, found + 1) >= 0:
        sys.exit(f"{msi}: has not one summary")
    (start,) = struct.unpack_from("<I", data, found + 16)
    # The section's offset counts from the stream's beginning, which is 28 bytes before the FMTID.
    section = found - 28 + start
    _, count = struct.unpack_from("<II", data, section)
    time = (seconds + EPOCH_DIFFERENCE) * 10_000_000
    written = set()
    for index in range(count):
        identifier, offset = struct.unpack_from("<II", data, section + 8 + 8 * index)
        if identifier in (CREATED, SAVED):
            if struct.unpack_from("<I", data, section + offset) != (FILETIME,):
                sys.exit(f"{msi}: property {identifier} of the summary is no time")
            struct.pack_into("<Q", data, section + offset + 4, time)
            written.add(identifier)
    if written != {CREATED, SAVED}:
        sys.exit(f"{msi}: the summary lacks a time")
    Path(msi).write_bytes(data)


if sys.argv[1] == "codes":
    codes(sys.argv[2], sys.argv[3:])
else:
    times(sys.argv[2], int(sys.argv[3]))
