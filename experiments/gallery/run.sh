#!/usr/bin/env bash
# Every problem from fresh samples at any time, and from a file of as many snapshots as `actum gallery` suggests.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --workspace --example gallery --bin actum
out=${1:-gallery}
mkdir -p "$out"
for name in $(target/release/actum gallery --list --json | grep '"name"' | cut -d '"' -f 4); do
  target/release/examples/gallery "$name" 3000 - "$out"
  target/release/actum gallery "$name" -o "$out/$name.npz" > "$out/log"
  target/release/actum fit "$out/$name.npz" --velocity-key V --overwrite -o "$out/run" > "$out/log" 2>&1
  target/release/actum annotate "$out/run" | sed -n '/error$/,/^$/p'
done
for name in heat porous-medium-2 porous-medium-3 nonlinear-heat; do
  for columns in 1 5; do
    echo "$columns columns"
    target/release/examples/gallery "$name" 3000 "$columns"
  done
done
