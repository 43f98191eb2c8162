//! The manifests and `decima-trainer deploy` against a real API server with KServe's definitions.
