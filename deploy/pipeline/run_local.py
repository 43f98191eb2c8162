"""Runs the pipeline on this machine: Pipelines' own local runner, each step in a container of Docker or Podman.

    DOCKER_HOST=unix:///run/podman.sock python run_local.py --root FOLDER namespace=alice epochs=3 dry_run=true

Steps reach the network of this machine, run as an unprivileged user with a read-only root, and take the variables of
--environment in the place of a cluster's Secrets. Limits and retries are those of a cluster alone. What steps leave is
in the folder: one folder for each, with executor_output.json.
"""

import argparse
import os
from pathlib import Path

from kfp import local
from kfp.local import docker_task_handler

import pipeline

# Any user will do: this is one as OpenShift numbers them.
USER = "1000770000:0"


def run_container(client, image, command, volumes, **options):
    """Runs one step, whose command takes the place of the image's entry point, as in a cluster. (The runner's own way
    is to give it to the entry point, and to ask for a container that removes itself: a short step is then gone before
    it is waited for.)"""
    program, *rest = command
    container = client.containers.run(
        image=image, entrypoint=[program], command=rest, detach=True, volumes=volumes, **options
    )
    try:
        for line in container.logs(stream=True):
            print(line.decode(errors="replace"), end="")
        return container.wait()["StatusCode"]
    finally:
        container.remove(force=True)


def arguments(texts, inputs):
    """The pipeline's arguments in their types."""
    kinds = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str}
    values = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in inputs:
            raise SystemExit(f"the pipeline has no argument {name}: it has {', '.join(inputs)}")
        values[name] = kinds[inputs[name]](value)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainer", default=pipeline.TRAINER, help="image of decima-trainer")
    parser.add_argument("--root", default="runs", help="folder for what the steps leave")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE", help="for every step")
    parser.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="arguments of the pipeline")
    options = parser.parse_args()

    os.umask(0)  # the steps' user writes beside what this one makes
    root = Path(options.root).resolve()
    root.mkdir(parents=True, exist_ok=True)
    docker_task_handler.run_docker_container = run_container
    runner = local.DockerRunner(
        environment=dict(text.partition("=")[::2] for text in options.environment),
        user=USER,
        network_mode="host",
        read_only=True,
        tmpfs={"/tmp": ""},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    local.init(runner=runner, pipeline_root=str(root))
    digits = pipeline.define(options.trainer)
    inputs = digits.pipeline_spec.root.input_definitions.parameters
    digits(**arguments(options.arguments, {name: kind(spec) for name, spec in inputs.items()}))


def kind(spec):
    """The name of a parameter's type, such as STRING."""
    field = spec.DESCRIPTOR.fields_by_name["parameter_type"]
    return field.enum_type.values_by_number[spec.parameter_type].name


if __name__ == "__main__":
    main()
