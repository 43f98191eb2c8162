//! Schemas of the bodies of corrections.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether the server accepts corrections.
#[derive(Serialize, ToSchema)]
pub(super) struct FeedbackState {
    enabled: bool,
}

/// A picture with its right label.
#[derive(Serialize, ToSchema)]
pub(super) struct Correction {
    /// Name of the model that answered.
    model: String,
    /// Version of the model. Without it, the newest one that is ready.
    version: Option<String>,
    /// The encoded picture in base64, or as a `data:` URL.
    picture: String,
    label: Label,
}

/// The right label: one of the model's labels, or the index of a class.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes the schema")]
pub(super) enum Label {
    Name(String),
    Index(u64),
}

/// Path of the stored picture below the place for corrections.
#[derive(Serialize, ToSchema)]
pub(super) struct Stored {
    stored: String,
}
