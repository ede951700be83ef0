#!/usr/bin/env bash
# How the defaults were chosen: two interior times left out, so that the choice for one held-out time never sees it.
# Usage: select.sh EB.npz FLAGS-OF-FIT...   for example: select.sh eb.npz --set path.interpolation=cubic --steps 1000
set -euo pipefail
data=$1 work=$(mktemp -d)
shift
cargo build --release -q
for pair in "1 2" "1 3" "2 3"; do
  read -r a b <<< "$pair"
  run=$work/$a$b
  target/release/actum fit "$data" --dims 5 --standardize --hold-out $a --hold-out $b "$@" -o "$run" > /dev/null
  target/release/actum score "$run" "$data" --json |
    python3 -c 'import json, sys
for s in json.load(sys.stdin)["scores"]:
    print("left out '"$a,$b"':", s["from"], "->", s["at"], "W1", round(s["rows"]["action matching"]["w1"], 4))'
done
rm -r "$work"
