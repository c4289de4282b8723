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
"$bin/python" -m pytest --numprocesses "${TEST_PROCESSES:-auto}" --dist worksteal "$@"
