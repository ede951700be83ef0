#!/usr/bin/env bash
# All rows of the table for all sets. Usage: run.sh DATA RESULTS [FLAGS-OF-EVALUATE...]
# DATA holds the files that README.md names. What RESULTS holds already is not done again.
set -euo pipefail
data=$1 results=$2
shift 2
actum=${ACTUM:-target/release/actum}
if [ -z "${ACTUM:-}" ]; then
  cargo build --release -q
fi
mkdir -p "$results"
evaluate() {
  local name=$1
  shift
  "$actum" evaluate "$@" -o "$results/$name" --json > "$results/$name.json"
}
evaluate EB "$data/eb/eb.npz" --dims 5 --standardize "$@"
evaluate THP-1 "$data/thp1/thp1_45g.npz" "$@"
evaluate mESC "$data/mesc_pre/mesc_pre_100tf.npz" --points-key pcs "$@"
evaluate storms "$data/storms/storms_4d_daily.npz" --standardize --mass counts "$@"
evaluate gom "$data/gom_vortex/gom_2d.npz" "$@"
evaluate schiebinger "$data/schiebinger/reprog_pc20.npz" "$@"
python3 "$(dirname "$0")/table.py" "$results"
