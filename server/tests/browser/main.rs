//! The page to draw on, in a real browser: a headless Chromium that chromedriver drives, against the real server.
//!
//! `scripts/setup browser` sets up what it needs. Screenshots are kept in `target/screenshots`.
//! `DECIMA_STROKES=FILE` has the digits of a file drawn instead of those in `strokes.json`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking"
)]

#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
#[path = "../it/support/mod.rs"]
mod support;

mod api;
mod below;
mod chrome;
mod copying;
mod drawing;
mod faults;
mod feedback;
mod form;
mod models;
mod page;
mod phone;
mod pictures;
mod strokes;
