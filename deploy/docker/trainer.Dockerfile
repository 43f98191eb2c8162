# syntax=docker/dockerfile:1
# The image of decima-trainer. Build and run it from the repository's root:
#
#   docker build --file deploy/docker/trainer.Dockerfile --tag decima-trainer .
#   docker run --user "$(id -u):$(id -g)" --volume "$PWD:/tmp" decima-trainer run --out out
#
# The container's arguments are the trainer's command. Kubeflow Pipelines also gives the program's path,
# /usr/local/bin/decima-trainer. The image has no shell. Katib runs a trial's command with `sh -c`, so it needs the
# image with a shell:
#
#   docker build --file deploy/docker/trainer.Dockerfile --target katib --tag decima-trainer:0.1.0-katib .
#
# To use an existing program instead of compiling it (as the tests and the release do), replace a stage by a folder:
# --build-context build=FOLDER with FOLDER/out/decima-trainer, and --build-context shell=FOLDER with
# FOLDER/bin/busybox.

ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
# This image has a shell in a single file that needs no libraries.
ARG SHELL_IMAGE=docker.io/library/busybox:1.37-musl
# This image has glibc, libstdc++ and CA certificates, but no shell.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package decima-trainer \
    && scripts/split-debug target/release/decima-trainer /out

# The debug files of the program: docker build --target symbols --output FOLDER ...
FROM scratch AS symbols
COPY --from=build /out /

FROM ${SHELL_IMAGE} AS shell

FROM ${RUNTIME_IMAGE} AS program
COPY --from=build /out/decima-trainer /usr/local/bin/decima-trainer
ENV TMPDIR=/tmp
# The trainer writes only to /tmp, which is also the folder of relative paths. The container may run as any other UID.
WORKDIR /tmp
USER 65532:65532
# Makes the build fail if the program cannot run on the base image.
RUN ["/usr/local/bin/decima-trainer", "--version"]
ENTRYPOINT ["/usr/local/bin/decima-trainer"]
# The labels come last, so that a new revision does not change the layers above.
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="decima-trainer" \
      org.opencontainers.image.description="Trains a network to recognise digits and publishes it as an ONNX model" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

FROM program AS katib
COPY --from=shell /bin/busybox /bin/sh

# The last stage is built if no --target is given.
FROM program AS runtime
