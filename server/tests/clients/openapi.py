"""Schemathesis on the API that the server describes itself. Arguments: the server's address, and more options.

Requests are made from the description, right ones and wrong ones: none may be answered with a fault of the server's,
or with a status, a type or a body that the description does not have.
"""

import subprocess
import sys
import tempfile

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# Loading and unloading by chance would leave the other calls without models.
LEFT_OUT = "repository/models/"

if __name__ == "__main__":
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://{sys.argv[1]}/openapi.json"]
    command += ["--phases=examples,coverage,fuzzing", "--max-examples=20", f"--checks={','.join(CHECKS)}"]
    command += ["--generation-deterministic", "--request-timeout=60"]
    command += ["--exclude-path-regex", LEFT_OUT, "--no-color"]
    # Threads that parse at the same time break each other's count of depth in Python 3.11.
    command += ["--workers=1"]
    with tempfile.TemporaryDirectory() as folder:  # for what it keeps of its runs
        sys.exit(subprocess.run(command + sys.argv[2:], cwd=folder).returncode)
