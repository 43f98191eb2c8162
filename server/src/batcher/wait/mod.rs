//! Why a leader waits for more rows.

pub(super) mod join_probe;
pub(super) mod returning_clients;
pub(super) mod yield_policy;
