//! Connections: accepted, bounded in number and time, and what their bodies and timers do.

mod body_drain;
pub(in crate::http) mod listener;
mod socket;
pub(in crate::http) mod timer;
mod wake_filter;
