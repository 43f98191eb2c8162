//! Connections: accepting them within limits, their sockets, their timers, and unread request bodies.
//!
//! | question | file |
//! |---|---|
//! | How many connections are there, HTTP/1.1 or HTTP/2, and when do they end? | `listener` |
//! | What becomes of a body that a handler left unread? | `body_drain` |
//! | How are short responses written in one call? | `socket` |
//! | How long may a head or a message take to arrive? | `timer` |
//! | Which of hyper's wake-ups are suppressed, and why? | `wake_filter` |

mod body_drain;
pub(in crate::http) mod listener;
mod socket;
pub(in crate::http) mod timer;
mod wake_filter;
