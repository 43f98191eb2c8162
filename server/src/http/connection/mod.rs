//! Connections: accepting them within limits, their sockets, their timers, and unread request bodies.

mod body_drain;
pub(in crate::http) mod listener;
mod socket;
pub(in crate::http) mod timer;
mod wake_filter;
