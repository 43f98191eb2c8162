//! The headings of the table of settings.

/// Heading of a setting in `--help` and in the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What is served.
    Models,
    /// Where and how connections are taken.
    Network,
    /// Who may ask for what.
    Access,
    /// How models run.
    Execution,
    /// What people say is right.
    Feedback,
    /// What is written about it.
    Logging,
    /// Where settings come from.
    Configuration,
}

impl Group {
    /// Every group, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Models,
        Self::Network,
        Self::Access,
        Self::Execution,
        Self::Feedback,
        Self::Logging,
        Self::Configuration,
    ];

    /// The heading itself.
    pub fn title(self) -> &'static str {
        match self {
            Self::Models => "Models",
            Self::Network => "Network",
            Self::Access => "Access and TLS",
            Self::Execution => "Execution",
            Self::Feedback => "Feedback",
            Self::Logging => "Logging",
            Self::Configuration => "Configuration",
        }
    }
}
