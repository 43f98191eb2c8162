# The commands for developers. scripts/setup installs what a target needs besides Rust, Python 3 with pip, and make. It
# installs it once, into $DECIMA_CACHE (by default ~/.cache/decima); later runs need no network.

SHELL := /bin/bash
CARGO ?= cargo
# The tests of deploy/tests, which `cargo test` leaves out. Selected from the whole workspace, so that they share its build.
KUBEFLOW_TESTS := --test images --test pipeline --test api_server --test kserve --test monitoring --test tutorial --test notebook

PREFIX ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: help build release install uninstall serve test test-clients test-kubeflow bench bench-serve bench-check bench-beside bench-programs e2e stack stack-down monitoring fmt lint doc site

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Each by itself, as it is shipped: built together they would share the features of their crates, and a program would have
# crates in it that scripts/sbom does not name.
build: ## build all programs in release mode
	for program in decima-server decima-trainer decima-loadtest benches; do \
		$(CARGO) build --release --locked --package "$$program" || exit; \
	done

release: ## build the server for release, with profile-guided optimisation
	@scripts/setup onnxruntime
	@scripts/release

install: ## build and install programs, manual pages and completions into PREFIX (/usr/local), below DESTDIR
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" CARGO="$(CARGO)" scripts/install

uninstall: ## remove what `make install` has put into PREFIX
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install --remove

serve: ## serve models/digits on port 8080, with a page to draw on
	@scripts/setup onnxruntime
	$(CARGO) build --release --locked --package decima-server
	@exec "$${CARGO_TARGET_DIR:-target}/release/decima-server" --model-repository models

test: ## run all tests, with ONNX Runtime, MinIO, published clients and a browser
	@scripts/setup onnxruntime minio python clients browser
	$(CARGO) test --workspace --locked

test-clients: ## test the server with the published clients of KServe and Triton
	@scripts/setup onnxruntime clients
	$(CARGO) test --workspace --test clients --locked

bench: ## benchmark the parts of a request (criterion)
	@scripts/setup onnxruntime
	$(CARGO) bench --package benches --locked

bench-serve: release bench-programs ## compare the server's CPU time with its limit under load (wrk, h2load)
	@target=$${CARGO_TARGET_DIR:-target} && "$$target/release/bench-serve" --server "$$target/guided/decima-server" $(ARGS)

bench-check: ## run each load of bench-serve once and check the answers, with the programs that the tests build
	@scripts/setup onnxruntime
	$(CARGO) test --workspace --locked --no-run
	@"$${CARGO_TARGET_DIR:-target}/debug/bench-serve" --check

bench-beside: release bench-programs ## compare the request rates of the server and of furnace-server; FURNACE='--features tuned', ARGS=--check
	@target=$${CARGO_TARGET_DIR:-target} && \
	$(CARGO) build --release --locked --manifest-path benches/furnace/Cargo.toml --target-dir "$$target/furnace" $(FURNACE) && \
	"$$target/release/bench-serve" --server "$$target/guided/decima-server" \
		--beside "$$target/furnace/release/furnace-peer" $(ARGS)

bench-programs:
	$(CARGO) build --release --locked --package benches --bin bench-serve
	$(CARGO) build --release --locked --package decima-loadtest

e2e: ## run the whole way of a user: train, publish to MinIO, serve from it, predict
	@scripts/setup onnxruntime minio
	$(CARGO) build --release --locked --package decima-trainer
	@server=$$(scripts/release --any) && DECIMA_SERVER=$$server scripts/e2e

test-kubeflow: ## build and run images, pipeline and manifests with the programs of Kubeflow and KServe
	@scripts/setup onnxruntime podman base-images prometheus monitoring compose seaweedfs actionlint kfp notebook definitions apiserver kserve
	$(CARGO) build --release --locked --package decima-trainer
	@server=$$(scripts/release --any) && DECIMA_SERVER=$$server \
	$(CARGO) test --workspace --locked $(KUBEFLOW_TESTS)

stack: ## train and serve on this machine in containers, by Docker or Podman (deploy/compose.yaml)
	@scripts/stack build up

stack-down: ## remove what `make stack` started, and what it stored
	@scripts/stack down

monitoring: ## make the dashboards and the operator's alerts anew; DOCS=https://...: where runbooks lead
	@scripts/setup monitoring
	@"$${DECIMA_CACHE:-$$HOME/.cache/decima}/venv-monitoring/bin/python" deploy/monitoring/dashboards.py $(if $(DOCS),--docs $(DOCS))

fmt: ## format the code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path benches/furnace/Cargo.toml

lint: ## check the format and run clippy, as CI does
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path benches/furnace/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --workspace $(KUBEFLOW_TESTS) --locked -- -D warnings # the line above leaves these tests out

doc: ## build the API documentation (rustdoc)
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items --locked

site: ## build the site of the documentation into target/site; it fails where a link leads nowhere
	@scripts/setup site
	@scripts/site
