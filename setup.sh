#!/usr/bin/env bash
# Sets everything up below this folder, then does what it was asked for.
#
#   bash setup.sh                          install into .venv
#   bash setup.sh discover "…" [options]   install, then run a campaign (preset demo unless told)
#   bash setup.sh test                     install the development extra, then run every check
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

case "${1:-}" in
"")
    bash scripts/setup.sh -s
    echo "Installed. Next: .venv/bin/model-discovery discover \"discover me a new model\""
    ;;
discover)
    bash scripts/setup.sh -s
    exec .venv/bin/model-discovery "$@"
    ;;
test)
    EXTRAS=dev bash scripts/setup.sh -s
    exec bash scripts/test.sh "${@:2}"
    ;;
-h | --help)
    sed -n '2,6s/^# \{0,1\}//p' setup.sh
    ;;
*)
    echo "setup.sh: '$1' is not something it does; see bash setup.sh --help" >&2
    exit 2
    ;;
esac
