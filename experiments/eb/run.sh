#!/usr/bin/env bash
# Protocol P1: each interior time held out in turn. Usage: run.sh EB.npz [SEEDS]
set -euo pipefail
data=$1 seeds=${2:-1} work=$(mktemp -d)
cargo build --release -q
for ((seed = 0; seed < seeds; seed++)); do
  for hold in 1 2 3; do
    run=$work/$seed-$hold
    target/release/actum fit "$data" --dims 5 --standardize --hold-out $hold --seed $seed -o "$run" > /dev/null
    echo "seed $seed, held out $hold"
    target/release/actum score "$run" "$data" --at $hold
  done
done
rm -r "$work"
