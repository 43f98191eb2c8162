"""Runs digits.ipynb without a browser and writes it, with its outputs, to a file.

    DIGITS_SOURCE=synth DIGITS_EPOCHS=2 python execute.py OUT.ipynb

The variables that change what it does stand in its first cell.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("digits.ipynb")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    try:
        client.execute()
    finally:
        nbformat.write(notebook, sys.argv[1])  # of a failed run too: the error is in it


if __name__ == "__main__":
    main()
