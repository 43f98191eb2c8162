//! What KServe puts before and between servers, built from its source: the agent, which is beside the server in a pod
//! that batches, logs or takes several models, and the router of inference graphs.

mod agent;
mod pod;
mod puller;
mod router;
mod sink;
