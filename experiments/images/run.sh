#!/usr/bin/env bash
# Digits generated, by action and by score, enlarged and filled in; photographs coloured; smaller digits on every path.
# Usage: run.sh DATA [STEPS] [FOLDER]. DATA has MNIST in mnist/ (IDX) and sheets of CIFAR-10 in cifar10/.
set -euo pipefail
data=$1 steps=${2:-2000} out=${3:-images}
cargo build --release -q
mkdir -p "$out"
actum() { target/release/actum image "$@"; }
learn() { # NAME DATA STEPS [FLAG..]
  echo "== $1"
  actum fit -o "$out/$1" --data "$2" --steps "$3" --overwrite "${@:4}" 2> "$out/$1.log" | head -1
}
restore() { # NAME DATA
  for temperature in 0 1; do actum score "$out/$1" --data "$2" --temperature $temperature -n 1000; done
  actum restore "$out/$1" --input "$2" -o "$out/$1.png"
}

train=$data/mnist/train-images-idx3-ubyte.gz test=$data/mnist/t10k-images-idx3-ubyte.gz
for method in action score; do
  learn digits-$method "$train" "$steps" --method $method
  actum score "$out/digits-$method" --data "$test" -n 1000
  actum sample "$out/digits-$method" -o "$out/digits-$method.png"
done
for task in superres inpaint; do
  learn digits-$task "$train" $((steps / 2)) --task $task
  restore digits-$task "$test"
done

# The last sheet is the test.
sheets=("$data"/cifar10/*.png)
python3 experiments/images/sheets.py "$out/train.npz" "${sheets[@]::${#sheets[@]}-1}"
python3 experiments/images/sheets.py "$out/test.npz" "${sheets[-1]}"
learn photographs-colorize "$out/train.npz" $((4 * steps)) --task colorize --mirror
restore photographs-colorize "$out/test.npz"

for path in vp subvp ve linear heat torus; do
  learn small-$path "$train" $((3 * steps / 10)) --halve --path $path
  actum score "$out/small-$path" --data "$test"
  actum sample "$out/small-$path" -o "$out/small-$path.png"
done
learn small-score "$train" $((3 * steps / 10)) --halve --method score
actum score "$out/small-score" --data "$test"
for path in linear vp; do
  learn small-distance-$path "$train" $((3 * steps / 10)) --halve --path $path --set network.scalar=distance
  actum score "$out/small-distance-$path" --data "$test"
done
