#!/usr/bin/env python3
"""What the programs are made of: a bill of materials, and the licences of others.

    cargo tree       which crates are linked in: of these packages, for this target; none that only builds or tests
    cargo metadata   what each says of itself, and where its source lies
    Cargo.lock       the digest of each as the registry has it

    packaging/dependencies.py sbom TARGET FILE        CycloneDX 1.5, as JSON
    packaging/dependencies.py licences TARGET FILE    each crate with its licence, and the texts that its source has

The output depends on the sources and on SOURCE_DATE_EPOCH alone. The standard library of Rust and the C library are not
in the lock file: `licences` names them, `sbom` does not. Only Python's own library is needed.
"""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What is described, and what is handed out with it.
PACKAGES = ("outport", "outport-runc")
LICENCE_FILES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "UNLICENSE*", "COPYRIGHT*")


def main(arguments):
    kinds = {"sbom": bill_of_materials, "licences": licences}
    if len(arguments) != 3 or arguments[0] not in kinds:
        sys.exit(__doc__)
    kind, target, file = arguments
    text = kinds[kind](*linked(target))
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.exit(f"{file} cannot be written: {error.strerror}")


def linked(target):
    """The first package, what is linked into all by (name, version), and on which of these each depends."""
    wanted = [argument for package in PACKAGES for argument in ("--package", package)]
    lines = cargo(
        "tree", *wanted, "--edges", "normal,no-proc-macro", "--target", target, "--prefix", "none",
        "--no-dedupe", "--format", "{p}",
    )
    names = {tuple(line.split()[:2]) for line in lines.splitlines() if line}
    names = {(name, version.removeprefix("v")) for name, version in names}
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    by_id = {package["id"]: package for package in metadata["packages"]}
    packages = {key(package): package for package in by_id.values() if key(package) in names}
    if missing := names - packages.keys():
        sys.exit(f"cargo metadata does not have what cargo tree has: {sorted(missing)}")
    needs = {}
    for node in metadata["resolve"]["nodes"]:
        if (dependent := key(by_id[node["id"]])) in packages:
            runs = [edge for edge in node["deps"] if any(kind["kind"] is None for kind in edge["dep_kinds"])]
            below = {key(by_id[edge["pkg"]]) for edge in runs}
            needs[dependent] = sorted(below & packages.keys())
    return next(package for (name, _), package in packages.items() if name == PACKAGES[0]), packages, needs


def cargo(*arguments):
    """What cargo prints, with the lock file as it is."""
    done = subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"cargo {arguments[0]} failed; it says why above")
    return done.stdout


def key(package):
    return package["name"], package["version"]


def expression(package):
    """Its licence as SPDX has it now: `A/B` once stood for a choice."""
    return (package["license"] or "").replace("/", " OR ")


def bill_of_materials(root, packages, needs):
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    digests = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    others = [package for name, package in sorted(packages.items()) if package is not root]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": timestamp(), "component": component(root, "application", None)},
        "components": [component(package, kind(package), digests.get(key(package))) for package in others],
        "dependencies": [
            {"ref": purl(dependent), "dependsOn": [purl(name) for name in below]}
            for dependent, below in sorted(needs.items())
        ],
    }
    # The same content has the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    return json.dumps({"serialNumber": f"urn:uuid:{number}", **bill}, indent=1) + "\n"


def kind(package):
    return "application" if package["name"] in PACKAGES else "library"


def component(package, kind, digest):
    described = {
        "type": kind,
        "bom-ref": purl(key(package)),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(key(package)),
    }
    if package["description"]:
        described["description"] = " ".join(package["description"].split())
    if digest:
        described["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if expression(package):
        described["licenses"] = [{"expression": expression(package)}]
    links = [("website", package["homepage"]), ("vcs", package["repository"])]
    if references := [{"type": what, "url": url} for what, url in links if url]:
        described["externalReferences"] = references
    return described


def purl(name):
    return "pkg:cargo/{}@{}".format(name[0], name[1].replace("+", "%2B"))


def timestamp():
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def licences(root, packages, _needs):
    """A list of the crates, and each text once, below the crates that have it."""
    others = [package for _, package in sorted(packages.items()) if package["source"]]
    texts = {}
    for package in others:
        for text in texts_of(package):
            texts.setdefault(text, []).append(" ".join(key(package)))
    parts = [
        "What is linked into the programs `outport` and `outport-runc` beside their own code, with the licences that these crates name and\n"
        "the texts that come with their sources. The standard library of Rust (MIT OR Apache-2.0, The Rust Project\n"
        "Contributors) is linked in as well; so is the GNU C library (LGPL-2.1-or-later) where the program is static.\n",
        "".join(f"{package['name']} {package['version']}: {expression(package) or 'see its text'}\n" for package in others),
    ]
    for text, names in sorted(texts.items(), key=lambda item: item[1]):
        parts.append(f"{'=' * 80}\n{', '.join(names)}\n{'-' * 80}\n\n{text}\n")
    return "\n".join(parts)


def texts_of(package):
    folder = Path(package["manifest_path"]).parent
    files = {file for pattern in LICENCE_FILES for file in folder.glob(pattern) if file.is_file()}
    for file in sorted(files):
        lines = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").splitlines()
        yield "\n".join(line.rstrip() for line in lines).strip("\n")


try:
    main(sys.argv[1:])
except KeyboardInterrupt:
    sys.exit(130)
except (OSError, ValueError) as error:
    sys.exit(f"packaging/dependencies.py: {error}")
