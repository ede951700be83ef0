#!/usr/bin/env bash
# Digits generated, by action and by score, enlarged and filled in; photographs coloured.
# Usage: run.sh DATA [STEPS] [FOLDER]; what restores takes half of the steps. DATA has MNIST in mnist/ (IDX) and sheets of CIFAR-10 in cifar10/.
set -euo pipefail
data=$1 steps=${2:-2000} out=${3:-images}
cargo build --release -q
mkdir -p "$out"
actum() { target/release/actum image "$@"; }
learn() { # NAME DATA [FLAG..]
  echo "== $1"
  actum fit -o "$out/$1" --data "$2" --steps "$steps" --overwrite "${@:3}" 2> "$out/$1.log" | head -1
}

train=$data/mnist/train-images-idx3-ubyte.gz test=$data/mnist/t10k-images-idx3-ubyte.gz
for method in action score; do
  learn digits-$method "$train" --method $method
  actum score "$out/digits-$method" --data "$test"
  actum sample "$out/digits-$method" -o "$out/digits-$method.png"
done
steps=$((steps / 2))
for task in superres inpaint; do
  learn digits-$task "$train" --task $task
  actum score "$out/digits-$task" --data "$test"
  actum restore "$out/digits-$task" --input "$test" -o "$out/digits-$task.png"
done

# The last sheet is the test.
sheets=("$data"/cifar10/*.png)
python3 experiments/images/sheets.py "$out/train.npz" "${sheets[@]::${#sheets[@]}-1}"
python3 experiments/images/sheets.py "$out/test.npz" "${sheets[-1]}"
learn photographs-colorize "$out/train.npz" --task colorize --mirror
actum score "$out/photographs-colorize" --data "$out/test.npz"
actum restore "$out/photographs-colorize" --input "$out/test.npz" -o "$out/photographs-colorize.png"
