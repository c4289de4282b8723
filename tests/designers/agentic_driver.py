"""Runs the job of one design request in a process that may be killed; run by `test_agentic_work`.

    python agentic_driver.py FOLDER REQUEST.json

Prints the outcome as JSON.
"""

import json
import sys
from pathlib import Path

from model_discovery.designers import run_design
from model_discovery.engine.jobs import JobContext, Resources

if __name__ == "__main__":
    folder, request = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    folder.mkdir(parents=True, exist_ok=True)
    resources = Resources()
    print(
        json.dumps(run_design(request, JobContext(folder, 1, send=lambda fields: None, resources=resources)))
    )
    resources.close()
