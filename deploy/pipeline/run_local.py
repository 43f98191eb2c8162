"""Runs the pipeline on this machine with the local runner of Kubeflow Pipelines, each step in a container.

    DOCKER_HOST=unix:///run/podman.sock python run_local.py --root FOLDER namespace=alice epochs=3 dry_run=true

Docker or Podman runs the containers. Steps use the network of this machine, and run as an unprivileged user with a
read-only root file system. --environment sets variables that a cluster would take from Secrets. Limits and retries
apply only in a cluster. FOLDER gets a subfolder for each step with its results and executor_output.json.
"""

import argparse
import os
from pathlib import Path

from kfp import local
from kfp.local import docker_task_handler

import pipeline

# The steps must run as any user. This one is from the range of OpenShift.
USER = "1000770000:0"


def run_container(client, image, command, volumes, **options):
    """Runs one step. Its command replaces the image's entry point, as in a cluster.

    The runner's own function passes the command to the entry point. It also lets the container remove itself, so that a
    short step may be gone before the runner waits for it.
    """
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
    """Converts the pipeline's arguments to their types."""
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
    parser.add_argument("--root", default="runs", help="folder for the results of the steps")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE", help="environment variable of all steps")
    parser.add_argument("arguments", nargs="*", metavar="NAME=VALUE", help="arguments of the pipeline")
    options = parser.parse_args()

    os.umask(0)  # the user of the steps must be able to write into folders that this user creates
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
