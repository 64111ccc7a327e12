#!/usr/bin/env bash
# From nothing to evaluated grounders for photos: RefCOCO's data, COCO's photos, a Mask2Former, training, results.
# docs/reproduction.md explains the steps. `recipes/refcoco.sh --help` lists the options.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: recipes/refcoco.sh [options]

Does everything from the data to evaluated grounders with model cards. Repeat the same command after an interruption:
finished steps are skipped, and extraction, training and downloads continue where they stopped.

  --out FOLDER            where all files go (default: refcoco)
  --datasets LIST         refcoco, refcoco+, refcocog-umd, refcocog-google, separated by commas (default: refcoco)
  --models LIST           alignment presets, separated by commas (default: aligncat,aligncat-plus)
  --seeds LIST            numbers separated by commas (default: 0)
  --epochs N              train N epochs instead of the preset's 25; the warm-up keeps its share
  --detector NAME         hub name or folder (default: facebook/mask2former-swin-base-coco-instance)
  --detector_images NAME  what the detector was trained on, as for `aligncat audit`; known for COCO detectors of the hub
  --seen WORD             clean, leaked or unknown: what you know of the detector, as for `aligncat evaluate`
  --preprocessing NAME    as for `aligncat extract`, such as letterbox-416-to-800 for QueryMatch's detector
  --device NAME           the device for the detector, as for `aligncat extract`
  --cpu                   go on without a GPU
  --accept_faults         go on if `aligncat data check` finds faults, such as counts of a part of the data
  --push NAME             push each grounder to the hub, private, as NAME-DATASET-MODEL; NAME is user/words. The token is
                          HF_TOKEN, or that of `hf auth login`. Without --push, the files are listed only
  --plan                  print the steps and what they take, and stop
  --help                  print this

Files that you have are not downloaded; with all of them, no network is needed:
  --annotations PATH      refcoco.zip and so on: a folder with the archives or the unpacked files, or one archive
  --photos FOLDER         the unpacked photos of COCO train2014
  --photos_zip FILE       train2014.zip
  --word_vectors NAME     a file of 300-d vectors, or glove-50d from the extra [glove] (default: GloVe 840B, downloaded)

PYTHON names the Python that has aligncat (default: python3).
TEXT
}

readonly PHOTOS_URL=http://images.cocodataset.org/zips/train2014.zip PHOTOS_BYTES=13510573713
readonly GLOVE_URL=https://nlp.stanford.edu/data/glove.840B.300d.zip GLOVE_BYTES=2176768927
readonly PHOTOS_MB=13600 GLOVE_ZIP_MB=2200 GLOVE_MB=5700                        # as zips and as files, nearly the same
readonly ANNOTATIONS_MB=500 STORE_MB=600 RUN_MB=500 RESULTS_MB=30 REPORT_MB=600 # docs/reproduction.md; report: a guess
readonly EPOCHS=25 WARMUP=3
readonly STORE_PHOTOS=19994 STORE_HOURS=11 RUN_HOURS=2.6 # on 2 cores, from docs/reproduction.md

out=refcoco datasets=refcoco models=aligncat,aligncat-plus seeds=0 epochs='' cpu='' accept='' push='' plan=''
detector=facebook/mask2former-swin-base-coco-instance detector_images='' seen='' preprocessing='' device=''
annotations='' photos='' photos_zip='' word_vectors=''
PYTHON=${PYTHON:-python3}

names=() commands=() outputs=() needs=() disks=() hours=() # the steps
reported=()                                               # a line of the summary for each step that was reached
child='' stopped=''                                       # the running step's process group; the exit status of a signal

die() {
    printf 'refcoco.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

parse() {
    while (($#)); do
        case $1 in
            --help | -h) usage && exit 0 ;;
            --cpu) cpu=yes ;;
            --accept_faults) accept=yes ;;
            --plan) plan=yes ;;
            --out | --datasets | --models | --seeds | --epochs | --detector | --detector_images | --seen | --preprocessing | \
                --device | --push | --annotations | --photos | --photos_zip | --word_vectors)
                (($# > 1)) && [[ -n $2 ]] || die "$1 needs a value" 2
                printf -v "${1#--}" '%s' "$2"
                shift
                ;;
            *) die "unknown option $1; --help lists all" 2 ;;
        esac
        shift
    done
    local each
    for each in ${datasets//,/ }; do
        [[ $each =~ ^(refcoco\+?|refcocog-(umd|google))$ ]] || die "--datasets: no dataset $each; --help lists them" 2
    done
    [[ $datasets =~ [a-z] ]] || die "--datasets is empty" 2
    [[ $models =~ ^[a-z+-]+(,[a-z+-]+)*$ ]] || die "--models: give names separated by commas, not $models" 2
    [[ $seeds =~ ^[0-9]+(,[0-9]+)*$ ]] || die "--seeds: give numbers separated by commas, not $seeds" 2
    [[ -z $epochs || $epochs =~ ^[1-9][0-9]*$ ]] || die "--epochs: give a whole number from 1, not $epochs" 2
    [[ -z $push || $push =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] || die "--push: give user/words, not $push" 2
    [[ -z $photos || -d $photos ]] || die "--photos: $photos is no folder"
    [[ -z $photos || -z $photos_zip ]] || die "give --photos or --photos_zip, not both" 2
    [[ -z $photos_zip || -f $photos_zip ]] || die "--photos_zip: $photos_zip is no file"
    [[ -z $annotations || -e $annotations ]] || die "--annotations: $annotations does not exist"
    [[ -z $word_vectors || $word_vectors == glove-50d || -f $word_vectors ]] || die "--word_vectors: no file $word_vectors"
}

# The install check: sets accelerator, and detector_images if the detector's training is known by its name or its folder.
check_install() {
    local found
    "$PYTHON" -c 'import aligncat' 2>/dev/null ||
        die "$PYTHON has no aligncat: run 'pip install .' in this repository, or name another Python with PYTHON=..."
    found=$(
        "$PYTHON" - "$detector" "$push" <<'CODE'
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from huggingface_hub import get_token

from aligncat.detectors.device import default_device
from aligncat.detectors.known import known_detector
from aligncat.detectors.training_record import TRAINED_ON
from aligncat.evaluation.training_images import NAMED

name, push = sys.argv[1:]
if push and get_token() is None:
    sys.exit("refcoco.sh: --push needs a token of the hub: set HF_TOKEN, or run 'hf auth login'")
known = known_detector(name)
images = known.trained_on if known is not None and known.trained_on in NAMED else ""
print(name if (Path(name) / TRAINED_ON).is_file() else images)
device = default_device()
print("" if device == "cpu" else device)
try:
    ours = version("aligncat")
except PackageNotFoundError:
    ours = "from source"
print(f"aligncat {ours}, torch {torch.__version__},", torch.cuda.get_device_name() if device == "cuda" else device)
CODE
    ) || die "the installation is not complete; the reason is above"
    { read -r trained_on && read -r accelerator && read -r installed; } <<<"$found"
    detector_images=${detector_images:-$trained_on}
}

# add NAME NEEDS OUTPUTS MB HOURS COMMAND...: add a step. NEEDS are names of steps, with commas; OUTPUTS are paths, one a
# line, that exist when the step is done; HOURS are those of 2 cores.
add() {
    names+=("$1") needs+=("$2") outputs+=("$3") disks+=("$4") hours+=("$5")
    shift 5
    commands+=("$(printf '%q ' "$@")")
}

aligncat() { "$PYTHON" -m aligncat "$@"; }

add_steps() {
    local name data store model seed run result results grounder options grounders=() leak=()
    local dataset images=() vectors=() train=() every
    [[ -n $preprocessing ]] && images+=(--preprocessing "$preprocessing")
    [[ -n $device ]] && images+=(--device "$device")
    [[ -n $detector_images ]] && leak+=(--detector_images "$detector_images")
    [[ -n $seen ]] && leak+=(--seen "$seen")
    for name in ${datasets//,/ }; do
        dataset=${name%-*} data="$out/data/${name%-*}"
        add "prepare $name" '' "$data/refs($(split_by "$name")).p"$'\n'"$data/instances.json" $ANNOTATIONS_MB 0 \
            aligncat data prepare "$name" --out "$out/data" ${annotations:+--source "$annotations"} \
            ${photos:+--images "$photos"}
    done
    every=''
    if [[ -z $photos ]]; then
        photos=$out/photos/train2014 every=photos
        if [[ -n $photos_zip ]]; then
            add photos '' "$photos" $PHOTOS_MB 0 unpack "$photos_zip" train2014 "$out/photos"
        else
            add photos '' "$photos" $((2 * PHOTOS_MB)) 0 fetch $PHOTOS_URL $PHOTOS_BYTES train2014 "$out/photos"
        fi
    fi
    vectors=('')
    if [[ -z $word_vectors ]]; then
        word_vectors=$out/vectors/glove.840B.300d.txt vectors=('word vectors')
        add 'word vectors' '' "$word_vectors" $((GLOVE_ZIP_MB + GLOVE_MB)) 0 \
            fetch $GLOVE_URL $GLOVE_BYTES glove.840B.300d.txt "$out/vectors"
    fi
    train=(--word_vectors "$word_vectors")
    [[ $word_vectors == glove-50d ]] && train+=(--text.word_dim 50)
    [[ -n $epochs ]] && train+=(--training.epochs "$epochs" --training.warmup_epochs "$(share "$epochs * $WARMUP / $EPOCHS")")
    for name in ${datasets//,/ }; do
        dataset=${name%-*} store=$out/stores/$name results=()
        options=(--data.path "$out/data" --data.dataset "$dataset" --data.split_by "$(split_by "$name")")
        add "check $name" "prepare $name,$every" "$out/checks/$name.json" 0 0 check_data "$out/checks/$name.json" \
            "${options[@]}" --data.images "$photos"
        if [[ -n $detector_images ]]; then
            add "leak audit $name" "prepare $name" "$out/lists/$name/leave-out.txt" 0 0 \
                aligncat audit --detector_images "$detector_images" "${options[@]}" --out "$out/lists/$name"
        fi
        add "extract $name" "check $name" "$store/complete.json" $STORE_MB "$(store_hours "$name")" \
            aligncat extract "${options[@]}" --data.images "$photos" --detector "$detector" "${images[@]}" \
            --appearance true --out "$store"
        for model in ${models//,/ }; do
            for seed in ${seeds//,/ }; do
                grounder=$name/$model-seed$seed run=$out/runs/$name/$model-seed$seed
                result=$out/results/$name/$model-seed$seed
                add "train $grounder" "extract $name,${vectors[0]}" "$run/model.safetensors" $RUN_MB \
                    "$(share "$RUN_HOURS * ${epochs:-$EPOCHS} / $EPOCHS")" \
                    aligncat train --config "$name" --alignment "$model" --data.path "$out/data" --store "$store" \
                    "${train[@]}" --training.seed "$seed" --out "$run"
                add "evaluate $grounder" "train $grounder" "$result"$'\n'"$run/README.md" $RESULTS_MB 0 \
                    aligncat evaluate --grounder "$run" "${options[@]}" --data.images "$photos" --store "$store" "${leak[@]}" \
                    --out "$result" --model_card true
                results+=("$result") grounders+=("$grounder")
            done
        done
        add "report $name" "$(printf 'evaluate %s,' "${results[@]#"$out/results/"}")" "$out/report/$name/index.html" \
            $REPORT_MB 0 aligncat report "${results[@]}" --out "$out/report/$name" --photos "$photos"
    done
    for grounder in "${grounders[@]}"; do
        name=${grounder//\//-}
        [[ $seeds == *,* ]] || name=${name%-seed*}
        add "hub $grounder" "evaluate $grounder" '' 0 0 \
            hub "$out/runs/$grounder" "${push:-user/words}-${name//+/plus}" "${push:+push}"
    done
}

split_by() {
    case $1 in
        *-*) printf '%s' "${1##*-}" ;;
        *) printf unc ;;
    esac
}

share() { awk "BEGIN { printf \"%.3g\", $1 }"; }

# RefCOCOg has at most 25,799 photos, RefCOCO and RefCOCO+ 19,994.
store_hours() {
    local count=$STORE_PHOTOS
    [[ $1 == refcocog* ]] && count=25799
    share "$STORE_HOURS * $count / $STORE_PHOTOS"
}

# unpack ZIP MEMBER FOLDER: unpack a zip, and move its MEMBER into FOLDER when it is complete. Python checks each CRC.
unpack() {
    local partial=$3/unpacking
    rm -rf "$partial"
    mkdir -p "$partial"
    printf 'unpacking %s\n' "$1"
    "$PYTHON" -m zipfile -e "$1" "$partial" || die "$1 cannot be unpacked; if the disk is not full, the file is damaged: get it again"
    [[ -e $partial/$2 ]] || die "$1 has no $2"
    rm -rf "${3:?}/$2"
    mv "$partial/$2" "$3/$2"
    rm -rf "$partial"
}

# download URL BYTES FILE: download a file, or continue the download, and check its size. Gives up after five tries in
# which nothing came.
download() {
    local part=$3.part size before failures=0 status
    mkdir -p "$(dirname "$3")"
    [[ ! -f $3 ]] || return 0
    (($(bytes_of "$part") <= $2)) || rm -f "$part"
    printf 'downloading %s\n' "$1"
    while before=$(bytes_of "$part") && ((before < $2)); do
        status=0
        curl --fail --location --connect-timeout 30 --speed-limit 1000 --speed-time 60 --continue-at - \
            --output "$part" "$1" || status=$?
        ((status != 33)) || rm -f "$part" # the server cannot continue
        ((status)) || break
        (($(bytes_of "$part") > before)) && failures=0 || failures=$((failures + 1))
        ((failures < 5)) || die "$1: the download stopped (curl's reason is above). Repeat the command to continue, or get the file in another way and name it (--help)"
        sleep $((failures + 1))
    done
    size=$(bytes_of "$part")
    if ((size != $2)); then
        rm -f "$part"
        die "$1: has $size bytes, not $2, so it is another file; nothing was kept"
    fi
    mv "$part" "$3"
}

bytes_of() { if [[ -f $1 ]]; then wc -c <"$1"; else printf 0; fi; }

# fetch URL BYTES MEMBER FOLDER: download a zip, unpack it, and delete it.
fetch() {
    local zip=$4/${1##*/}
    download "$1" "$2" "$zip"
    unpack "$zip" "$3" "$4"
    rm -f "$zip"
}

check_data() {
    aligncat data check --out "$1" "${@:2}" && return 0
    [[ -n $accept && -f $1 ]] || die "the data has faults (above); --accept_faults goes on all the same"
    printf 'refcoco.sh: going on with these faults, as --accept_faults says\n'
}

# hub FOLDER NAME [push]: list a grounder's files, or push them. The folder `run` has checkpoints and logs, which stay.
hub() {
    "$PYTHON" - "$@" <<'CODE'
import sys
from pathlib import Path

folder, name, push = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "push"
files = sorted(path for path in folder.iterdir() if path.is_file())
for path in files:
    print(f"  {path.stat().st_size / 1e6:8.2f} MB  {path.name}")
if not push:
    print(f"--push user/words would push these files of {folder} as {name}; read its README.md first")
    sys.exit()
from huggingface_hub import HfApi

try:
    HfApi().create_repo(name, private=True, exist_ok=True)
    HfApi().upload_folder(repo_id=name, folder_path=folder, allow_patterns=[path.name for path in files])
except Exception as error:  # of many kinds: the network, the token, the name
    sys.exit(f"refcoco.sh: {name} was not pushed: {error}")
print(f"pushed as {name}, private; the hub's page of it makes it public")
CODE
}

stamp_of() { printf '%s' "$out/.steps/${1//\//-}"; }

# Whether step number $1 is complete: the same command ended well, its files exist, and no step it needs ran since.
is_done() {
    local stamp need each list
    stamp=$(stamp_of "${names[$1]}")
    [[ -f $stamp && $(tail -n +2 "$stamp") == "${commands[$1]}" ]] || return 1
    while read -r each; do
        [[ -z $each || -e $each ]] || return 1
    done <<<"${outputs[$1]}"
    IFS=, read -r -a list <<<"${needs[$1]}"
    for need in "${list[@]}"; do
        [[ -n $need && $(stamp_of "$need") -nt $stamp ]] && return 1
    done
    return 0
}

check_disk() {
    local number total=0 parts='' free folder=$out mb
    while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
    free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
    for number in "${!names[@]}"; do
        mb=${disks[$number]}
        if ((mb)) && ! is_done "$number"; then
            total=$((total + mb)) parts+="; ${names[$number]} $(share "$mb / 1000") GB"
        fi
    done
    printf 'disk: the steps that are left need about %s GB, and %s has %s GB free\n' \
        "$(share "$total / 1000")" "$folder" "$(share "$free / 1000")"
    ((free >= total)) || die "too little disk: $folder has $(share "$free / 1000") GB free, and about $(share "$total / 1000") GB are needed (${parts#; }). Give --out on another disk, or name files that you have (--help)"
}

check_gpu() {
    local number total=0
    for number in "${!names[@]}"; do
        is_done "$number" || total=$(share "$total + ${hours[$number]}")
    done
    [[ -n $accelerator || $total == 0 ]] && return 0
    printf 'no GPU: on 2 CPU cores, extraction and training would take about %s hours (docs/reproduction.md)\n' "$total"
    [[ -n $cpu ]] || die "torch finds no GPU. On 2 CPU cores, the steps would take about $total hours; --cpu goes on all the same"
}

stop() {
    stopped=$1
    [[ -z $child ]] || kill -TERM -- "-$child" 2>/dev/null || true
}

# Run a command in a process group of its own, which a signal to this script stops, and return its status.
run() {
    local status
    set -m
    # With a trap, the shell of the step waits until its program has ended.
    eval "trap 'exit 143' TERM; set -e; $1" </dev/null &
    child=$!
    set +m
    [[ -z $stopped ]] || stop "$stopped"
    while :; do
        wait "$child"
        status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    child=''
    return "$status"
}

run_steps() {
    local number name stamp status begun seconds
    mkdir -p "$out/.steps" "$out/checks"
    for number in "${!names[@]}"; do
        name=${names[$number]} stamp=$(stamp_of "${names[$number]}")
        if is_done "$number"; then
            printf '== %s: done before\n' "$name"
            report_step "$number" 'done before' "$(head -n 1 "$stamp")"
            continue
        fi
        [[ -z $stopped ]] || finish "$stopped" "stopped before '$name'"
        printf '\n== %s (step %s of %s)\n%s\n' "$name" $((number + 1)) ${#names[@]} "${commands[$number]}"
        begun=$SECONDS
        set +e # not `run || ...`, in which the step's own `set -e` would have no effect
        run "${commands[$number]}"
        status=$?
        set -e
        seconds=$((SECONDS - begun))
        if ((status)); then
            report_step "$number" "${stopped:+stopped}" "$seconds"
            [[ -z $stopped ]] || finish "$stopped" "stopped in '$name'"
            finish "$status" "failed: '$name'"
        fi
        printf '%s\n%s\n' "$seconds" "${commands[$number]}" >"$stamp.new"
        mv "$stamp.new" "$stamp"
        report_step "$number" 'done' "$seconds"
        printf '== %s: %s, %s\n' "$name" "$(duration "$seconds")" "$(size_of "$number")"
    done
}

report_step() {
    reported+=("$(printf '%-36s %-12s %9s %9s' "${names[$1]}" "${2:-failed}" "$(duration "$3")" "$(size_of "$1")")")
}

duration() { printf '%d:%02d:%02d' $(($1 / 3600)) $(($1 / 60 % 60)) $(($1 % 60)); }

# The disk space of a step's files: of the folder of a store or a grounder, not of the one file that shows that it is done.
size_of() {
    local first=${outputs[$1]%%$'\n'*}
    case ${names[$1]} in
        check* | hub*) printf -- '-' && return ;;
        extract* | train* | report* | prepare*) first=$(dirname "$first") ;;
        *) ;;
    esac
    if [[ -e $first ]]; then du -sh "$first" | cut -f1; else printf -- '-'; fi
}

# finish STATUS [WHY]: print the summary and exit.
finish() {
    printf '\n%-36s %-12s %9s %9s\n' step state h:m:s disk
    printf '%s\n' "${reported[@]}"
    printf 'together: %s in this run, %s in %s\n' "$(duration $SECONDS)" "$(du -sh "$out" | cut -f1)" "$out"
    if (($1)); then
        printf 'refcoco.sh: %s. Repeat the same command to continue\n' "$2" >&2
    else
        printf 'results: %s/results; reports: %s/report; grounders with their cards: %s/runs\n' "$out" "$out" "$out"
    fi
    exit "$1"
}

show_plan() {
    local number
    for number in "${!names[@]}"; do
        printf '%s%s\n    %s\n' "${names[$number]}" "$(is_done "$number" && printf ' (done)')" "${commands[$number]}"
    done
}

main() {
    parse "$@"
    check_install
    printf '%s\n' "$installed"
    add_steps
    [[ -n $detector_images ]] ||
        printf 'no leak audit: nothing is known of the training of %s; --detector_images tells it\n' "$detector"
    if [[ -n $plan ]]; then
        show_plan
        exit
    fi
    check_disk
    check_gpu
    mkdir -p "$out"
    if command -v flock >/dev/null; then
        exec 9>"$out/.lock"
        flock -n 9 || die "another recipe is running in $out"
    fi
    trap 'stop 143' TERM
    trap 'stop 130' INT
    trap 'stop 129' HUP
    run_steps
    finish 0
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main "$@"
fi
