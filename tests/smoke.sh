#!/usr/bin/env bash
# The whole path once on a few drawings: data, extract, train, evaluate, ground, report. It checks that each step works,
# not that the grounder is good. Takes the folder to work in, which is replaced.
set -euo pipefail
out=${1:?give the folder to work in}
rm -rf "$out"
mkdir -p "$out"
cd "$out"
data=(--data.path mojiref --data.dataset mojiref)
aligncat data mojiref --out mojiref --recipe.train 48 --recipe.val 8 --recipe.test 4
aligncat extract "${data[@]}" --out store
aligncat train --config mojiref "${data[@]}" --store store --out run --training.epochs 2 --training.warmup_epochs 0.5 --progress false
aligncat evaluate --grounder run "${data[@]}" --store store --splits val --out answers
photo=$(ls mojiref/images/*.jpg | head -1)
aligncat ground "$photo" "dog" "cup on the left" --grounder run --overlay seen.png > groundings.json
aligncat report answers --out report
for file in run/config.json answers/run-mojiref-val.parquet groundings.json seen.png report/index.html; do
    test -s "$file" || { echo "smoke: $file is missing or empty" >&2; exit 1; }
done
echo "smoke: every step works ($SECONDS s)"
