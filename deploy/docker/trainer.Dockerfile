# syntax=docker/dockerfile:1
# The image of decima-trainer. From the repository's root:
#
#   docker build --file deploy/docker/trainer.Dockerfile --tag decima-trainer .
#   docker run --user "$(id -u):$(id -g)" --volume "$PWD:/tmp" decima-trainer run --out out
#
# Its steps are what the container is given as arguments; Kubeflow Pipelines gives /usr/local/bin/decima-trainer too.
# There is no shell in it. Katib's collectors wrap a trial's command in `sh -c`, so Katib needs the image with one:
#
#   docker build --file deploy/docker/trainer.Dockerfile --target katib --tag decima-trainer:0.1.0-katib .
#
# To take a program that is there already instead of compiling it (the tests and the release do), put a folder in the
# place of a stage: --build-context build=FOLDER with FOLDER/out/decima-trainer, and likewise
# --build-context shell=FOLDER with FOLDER/bin/busybox.

ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
# a shell in one file without libraries
ARG SHELL_IMAGE=docker.io/library/busybox:1.37-musl
# glibc, libstdc++ and the CA certificates; no shell
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package decima-trainer \
    && scripts/split-debug target/release/decima-trainer /out

# what a debugger needs besides, for who wants it: docker build --target symbols --output FOLDER ...
FROM scratch AS symbols
COPY --from=build /out /

FROM ${SHELL_IMAGE} AS shell

FROM ${RUNTIME_IMAGE} AS program
COPY --from=build /out/decima-trainer /usr/local/bin/decima-trainer
ENV TMPDIR=/tmp
# /tmp is the only place that is written to, files that are named without a folder too; any other UID will do
WORKDIR /tmp
USER 65532:65532
# fails here, rather than in the first pod, where the binary does not fit the base image
RUN ["/usr/local/bin/decima-trainer", "--version"]
ENTRYPOINT ["/usr/local/bin/decima-trainer"]
# last, for a new revision to leave the layers above as they are
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

# what is built where no --target is given
FROM program AS runtime
