//! Tests with the kinds of pictures that people send. The tests draw and encode them themselves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod close_ups;
mod decoding;
mod digits;
mod drawing;
mod ends;
mod kinds;
mod paper;
mod properties;
mod strips;
