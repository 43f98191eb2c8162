"""The pipeline: trains a network on pictures of digits and deploys it. Each step is a command of decima-trainer.

Writes pipeline.yaml beside this file: python pipeline.py [--trainer IMAGE] [--out FILE]
"""

import argparse
from pathlib import Path

from kfp import compiler, dsl, kubernetes

TRAINER = "decima-trainer:0.1.0"
SERVER = "decima-server:0.1.0"
# Kubeflow's object store, and the Secret with the keys that Kubeflow creates for each profile. The keys can read and
# write only below private/<namespace>/.
STORE = "http://seaweedfs.kubeflow:8333"
SECRET = "mlpipeline-minio-artifact"
BUCKET = "s3://mlpipeline/private"
# The token of the pod's service account, default-editor. The service mesh requires it for the test request.
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def define(trainer: str):
    """Defines the pipeline. Its steps run in the image `trainer`."""

    def command(*arguments):
        # Pipelines ignores the image's entry point and starts the command itself. The last argument tells the step where
        # to write its results.
        return dsl.ContainerSpec(
            image=trainer,
            command=["/usr/local/bin/decima-trainer"],
            args=[*arguments, "--executor-input", dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER],
        )

    @dsl.container_component
    def fetch(source: str, data: dsl.Output[dsl.Dataset]):
        return command("fetch", f"--from={source}", "--out", data.path)

    @dsl.container_component
    def prepare(
        data: dsl.Input[dsl.Dataset],
        prepared: dsl.Output[dsl.Dataset],
        dataset_version: dsl.OutputPath(str),
        train_pictures: dsl.OutputPath(int),
        test_pictures: dsl.OutputPath(int),
    ):
        return command("prepare", "--data", data.path, "--out", prepared.path)

    @dsl.container_component
    def latest(
        namespace: str,
        data: dsl.Input[dsl.Dataset],
        enlarged: dsl.Output[dsl.Dataset],
        dataset_version: dsl.OutputPath(str),
        train_pictures: dsl.OutputPath(int),
        test_pictures: dsl.OutputPath(int),
        pictures_used: dsl.OutputPath(int),
        pictures_left_out: dsl.OutputPath(int),
    ):
        return command(
            "latest", f"--from={BUCKET}/{namespace}/feedback", "--data", data.path, "--out", enlarged.path
        )

    @dsl.container_component
    def train(
        data: dsl.Input[dsl.Dataset],
        epochs: int,
        optimizer: str,
        learning_rate: float,
        seed: int,
        weights: dsl.Output[dsl.Artifact],
        curve: dsl.Output[dsl.Metrics],
        chosen_epoch: dsl.OutputPath(int),
    ):
        return command(
            "train", "--data", data.path, "--epochs", epochs, "--optimizer", optimizer,
            "--learning-rate", learning_rate, "--seed", seed, "--out", weights.path,
        )

    @dsl.container_component
    def evaluate(
        data: dsl.Input[dsl.Dataset],
        weights: dsl.Input[dsl.Artifact],
        metrics: dsl.Output[dsl.Metrics],
        confusion: dsl.Output[dsl.ClassificationMetrics],
        report: dsl.Output[dsl.HTML],
        summary: dsl.Output[dsl.Markdown],
        accuracy: dsl.OutputPath(float),
        loss: dsl.OutputPath(float),
    ):
        return command(
            "evaluate", "--data", data.path, "--weights", f"{weights.path}/weights.safetensors",
            "--metrics", metrics.path, "--report", report.path, "--summary", summary.path,
        )

    @dsl.container_component
    def export(
        weights: dsl.Input[dsl.Artifact],
        metrics: dsl.Input[dsl.Metrics],
        model: dsl.Output[dsl.Model],
        model_sha256: dsl.OutputPath(str),
    ):
        return command(
            "export", "--weights", f"{weights.path}/weights.safetensors", "--metrics", metrics.path,
            "--out", model.path,
        )

    @dsl.container_component
    def gate(
        namespace: str,
        metrics: dsl.Input[dsl.Metrics],
        threshold: float,
        tolerance: float,
        compared: dsl.Output[dsl.Metrics],
        decision: dsl.OutputPath(str),
        reason: dsl.OutputPath(str),
    ):
        return command(
            "gate", "--metrics", metrics.path, f"--served={BUCKET}/{namespace}/models/digits",
            "--threshold", threshold, "--tolerance", tolerance,
        )

    @dsl.container_component
    def publish(
        namespace: str,
        model: dsl.Input[dsl.Model],
        decision: str,
        published: dsl.OutputPath(str),
        version: dsl.OutputPath(str),
        place: dsl.OutputPath(str),
    ):
        return command(
            "publish", "--model", f"{model.path}/model.onnx", f"--to={BUCKET}/{namespace}/models/digits",
            f"--gate={decision}",
        )

    @dsl.container_component
    def deploy(
        namespace: str,
        decision: str,
        version: str,
        image: str,
        timeout: str,
        dry_run: str,
        deployed: dsl.OutputPath(str),
        address: dsl.OutputPath(str),
    ):
        # All runs use the same name, so a second run changes the service that the first one created.
        return command(
            "deploy", "--name", "digits", f"--models={BUCKET}/{namespace}/models",
            f"--feedback={BUCKET}/{namespace}/feedback", f"--version={version}", f"--image={image}",
            f"--timeout={timeout}", f"--gate={decision}", f"--dry-run={dry_run}", f"--namespace={namespace}",
            f"--token-file={TOKEN}",
        )

    @dsl.pipeline(
        name="digits",
        description="Trains the digit recogniser and, if the gate says yes, publishes and serves it.",
    )
    def digits(
        namespace: str = "kubeflow-user-example-com",
        source: str = "",
        epochs: int = 30,
        optimizer: str = "adamw",
        learning_rate: float = 0.0,
        seed: int = 1,
        threshold: float = 0.98,
        tolerance: float = 0.002,
        server: str = SERVER,
        timeout: str = "10m",
        dry_run: str = "false",
    ):
        """Trains, publishes and serves a model.

        Args:
            namespace: Namespace of your profile.
            source: Source of MNIST, a web address or s3://mlpipeline/private/NAMESPACE/... (empty for public mirrors).
            epochs: Number of passes over the pictures.
            optimizer: Optimiser, adamw or sgd.
            learning_rate: Peak learning rate (0 for the optimiser's default).
            seed: Random seed. The same seed gives the same model.
            threshold: Lowest accuracy with which a model is published, 0 to 1.
            tolerance: How far the accuracy may be below that of the served model, 0 to 1.
            server: Image of decima-server.
            timeout: How long to wait until the service answers.
            dry_run: If true, the last step prints the service and does not apply it.
        """
        fetched = fetch(source=source)
        fetched_data = prepare(data=fetched.outputs["data"])
        data = latest(namespace=namespace, data=fetched_data.outputs["prepared"])
        trained = train(
            data=data.outputs["enlarged"], epochs=epochs, optimizer=optimizer, learning_rate=learning_rate, seed=seed
        )
        measured = evaluate(data=data.outputs["enlarged"], weights=trained.outputs["weights"])
        exported = export(weights=trained.outputs["weights"], metrics=measured.outputs["metrics"])
        # The steps after the gate get its decision. If it is no, they do nothing and say so. (dsl.If cannot be used: the
        # local runner of 2.17 takes a condition on the output of a step as false.)
        decided = gate(
            namespace=namespace, metrics=measured.outputs["metrics"], threshold=threshold, tolerance=tolerance
        )
        published = publish(
            namespace=namespace, model=exported.outputs["model"], decision=decided.outputs["decision"]
        )
        served = deploy(
            namespace=namespace, decision=decided.outputs["decision"], version=published.outputs["version"],
            image=server, timeout=timeout, dry_run=dry_run,
        )

        # Caching is for steps whose results depend only on their inputs. The others read or write places that change.
        for task, cached in [
            (fetched, True), (fetched_data, True), (data, False), (trained, True), (measured, True),
            (exported, True), (decided, False), (published, False), (served, False),
        ]:
            task.set_caching_options(cached)
            task.set_retry(num_retries=2, backoff_duration="30s", backoff_factor=2, backoff_max_duration="5m")
            task.set_cpu_request("250m").set_cpu_limit("1")
            task.set_memory_request("256Mi").set_memory_limit("1Gi")
        trained.set_cpu_request("1").set_cpu_limit("4").set_memory_request("1Gi").set_memory_limit("4Gi")
        data.set_memory_limit("2Gi")
        measured.set_memory_limit("2Gi")
        for task in [fetched, data, decided, published]:
            task.set_env_variable("AWS_ENDPOINT_URL", STORE)
            task.set_env_variable("AWS_DEFAULT_REGION", "us-east-1")
            kubernetes.use_secret_as_env(
                task,
                secret_name=SECRET,
                secret_key_to_env={"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"},
            )

    return digits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainer", default=TRAINER, help="image of decima-trainer")
    parser.add_argument("--out", default=str(Path(__file__).with_name("pipeline.yaml")), help="file to write")
    options = parser.parse_args()
    compiler.Compiler().compile(define(options.trainer), options.out)


if __name__ == "__main__":
    main()
