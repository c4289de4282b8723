#!/usr/bin/env bash
# Every check of the project, cheapest first. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMP_NUM_THREADS=1
bin=.venv/bin

"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports"
# One more than there are cores: a quarter of the time a test waits for a limit, a disk or a process.
"$bin/python" -m pytest --numprocesses "${TEST_PROCESSES:-$(($(getconf _NPROCESSORS_ONLN) + 1))}" --dist worksteal "$@"
