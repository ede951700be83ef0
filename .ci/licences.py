"""Reads lines `licence|package`; fails where a licence is not allowed by deny.toml."""

import re
import sys
import tomllib

with open("deny.toml", "rb") as file:
    allowed = set(tomllib.load(file)["licenses"]["allow"])


def goes(expression):
    """Whether an SPDX expression can be met by allowed licences."""
    words = expression.replace("/", " OR ").replace(" WITH ", "+WITH+")
    words = re.findall(r"\(|\)|[^\s()]+", words)
    grammar = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    terms = (grammar.get(w, str(w.replace("+WITH+", " WITH ") in allowed)) for w in words)
    return bool(words) and eval(" ".join(terms))


lines = {line.removesuffix(" (*)\n").rstrip("\n") for line in sys.stdin if line.strip()}
bad = sorted(line for line in lines if not goes(line.split("|")[0]))
print(f"{len(lines)} packages, {len(bad)} with a licence that deny.toml does not allow", *bad, sep="\n")
sys.exit(bool(bad))
