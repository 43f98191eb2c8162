//! The bodies of corrections as schemas.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether corrections are taken.
#[derive(Serialize, ToSchema)]
pub(super) struct FeedbackState {
    enabled: bool,
}

/// A picture with its right answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Correction {
    /// The model that was wrong, or right.
    model: String,
    /// Its version; the newest that answers where it is left out.
    version: Option<String>,
    /// The encoded picture in base64, also as a `data:` URL.
    picture: String,
    label: Label,
}

/// The right answer: one of the model's labels, or the index of a class.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "described, never made")]
pub(super) enum Label {
    Name(String),
    Index(u64),
}

/// Where the picture lies, below the place for corrections.
#[derive(Serialize, ToSchema)]
pub(super) struct Stored {
    stored: String,
}
