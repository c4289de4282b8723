#!/usr/bin/env bash
# Prepares this checkout: software into .venv, data into DATA_DIR (default ./data).
#
#   bash scripts/setup.sh       both
#   bash scripts/setup.sh -s    software only
#   bash scripts/setup.sh -d    data sets only: grammar is made here; babylm (60 MB) and blimp (25 MB) are fetched
#                               where there is a network; all others are listed with their sizes
#
# Keys, DATA_DIR and CKPT_DIR come from the environment or from .env (see .env.example).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

software=1 data=1
case "${1:-}" in
"") ;;
-s) data=0 ;;
-d) software=0 ;;
-h | --help) sed -n '2,9s/^# \{0,1\}//p' scripts/setup.sh && exit 0 ;;
*) echo "scripts/setup.sh: unknown option '$1'; known: -d (data), -s (software)" >&2 && exit 2 ;;
esac

find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "scripts/setup.sh: no Python 3.11 or newer found; install one (Debian: apt install python3 python3-venv)" >&2
    return 1
}

# Without an NVIDIA card the plain index would bring gigabytes of CUDA, so the CPU index is taken where it answers.
torch_index() {
    command -v nvidia-smi >/dev/null && return
    local url=${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}
    .venv/bin/python - "$url" <<'PY' && echo "--index-url $url"
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1] + "/torch/", timeout=3)
except OSError:
    sys.exit(1)
PY
    return 0
}

install_software() {
    local python stamp wanted
    python=$(find_python)
    if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "scripts/setup.sh: '$python -m venv' failed; on Debian: apt install python3-venv" >&2
        return 1
    fi
    stamp=.venv/installed-${EXTRAS:-core}
    wanted=$(cat pyproject.toml constraints.txt | sha256sum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    echo "Installing into .venv (torch first; a few minutes on a first run) ..."
    local pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
    # shellcheck disable=SC2046  # two words or none
    .venv/bin/python -c 'import torch' 2>/dev/null ||
        "${pip[@]}" install $(torch_index) "$(grep '^torch==' constraints.txt)"
    "${pip[@]}" install --constraint constraints.txt --editable ".${EXTRAS:+[$EXTRAS]}"
    echo "$wanted" >"$stamp"
}

# What is small comes at once: made here, or fetched where there is a network. Nothing here fails the set-up.
prepare_data() {
    local name
    .venv/bin/model-discovery data prepare grammar
    for name in babylm blimp; do
        .venv/bin/model-discovery data prepare "$name" || echo "  left out: $name" >&2
    done
    .venv/bin/model-discovery data list
}

if [ "$software" = 1 ]; then install_software; fi
if [ "$data" = 1 ]; then
    if [ ! -x .venv/bin/model-discovery ]; then
        echo "scripts/setup.sh: the software is not installed yet; run bash scripts/setup.sh -s first" >&2
        exit 2
    fi
    prepare_data
fi
