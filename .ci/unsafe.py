"""Reads `package version` lines of `cargo tree`; fails where a package has unsafe code and is not in
the table of docs/dependencies.md. Counts blocks, functions and implementations in its source."""

import pathlib
import re
import sys

registry = pathlib.Path.home() / ".cargo/registry/src"
table = pathlib.Path("docs/dependencies.md").read_text()
known = set(re.findall(r"`([\w-]+)`", table))


def count(folder):
    found = 0
    for file in folder.rglob("*.rs"):
        if {"tests", "benches", "examples", "fuzz"} & set(file.relative_to(folder).parts):
            continue
        text = re.sub(r"//[^\n]*", "", file.read_text(errors="replace"))
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        text = re.sub(r'"(\\.|[^"\\])*"', "", text)
        found += len(re.findall(r"\bunsafe\s*(?:\{|impl|fn)", text))
    return found


packages = {tuple(line.split()[:2]) for line in sys.stdin if line.strip()}
counts, lacking = {}, []
for name, version in sorted(packages):
    folders = list(registry.glob(f"*/{name}-{version.removeprefix('v')}"))
    if not folders:
        # Those of the workspace deny unsafe code, or say where they need it.
        if "actum" not in name:
            lacking.append(f"{name} {version}: its source is not there")
        continue
    counts[name] = count(folders[0])
    if counts[name] and name not in known:
        lacking.append(f"{name} {version}: {counts[name]} places, not in docs/dependencies.md")
with_unsafe = sum(1 for n in counts.values() if n)
print(f"{len(counts)} packages, {with_unsafe} with unsafe code", *lacking, sep="\n")
if "--list" in sys.argv:
    print(*(f"{n:6} {name}" for name, n in sorted(counts.items(), key=lambda c: -c[1])), sep="\n")
sys.exit(bool(lacking))
