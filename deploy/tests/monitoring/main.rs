//! The alerts and the dashboards: with the real Prometheus, and what is derived from them.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod derived;
mod rules;
mod scraped;
