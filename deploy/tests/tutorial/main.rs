//! The tutorial: its commands are run as they stand on its pages, and both languages have the same ones.
//!
//! What a block of commands is for stands behind the language of its fence:
//!
//! | fence | what the tests do |
//! |---|---|
//! | `sh` | run it, with the other blocks of its page, in one shell |
//! | `sh title="fails"` | run it; it must fail |
//! | `sh title="cluster"`, `sh title="by hand"` | parse it: it wants a cluster, or takes long |
//! | `text` | after a block that is run: what that prints, `…` in the place of anything |
//! | `yaml`, `python`, `json` | find the text in the file that its first line names |
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot set up its parts has failed")]

mod blocks;
mod denied;
mod pages;
mod run;
