//! What a setting is where nobody sets it.

/// What a setting is where nobody sets it.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// This value, in the notation that a user would write.
    Value(&'static str),
    /// A value that depends on the machine or on other settings. The text tells the user how it is found.
    Computed(&'static str),
    /// Nothing.
    Unset,
}

impl Fallback {
    /// Returns the default in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Value(text) | Self::Computed(text) => text,
            Self::Unset => "none",
        }
    }
}
