//! The pipeline, compiled, and run by its own local runner.
