//! Whether the batcher adapts to the load.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// Whether the adaptive policies of the batcher act. `batcher/tuning.rs` lists them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchingMode {
    /// They act: sessions, threads, lanes and waits follow from measured times.
    #[default]
    Adaptive,
    /// None acts: every batch is formed by fixed rules.
    Static,
}

impl FromStr for BatchingMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "adaptive" => Ok(Self::Adaptive),
            "static" => Ok(Self::Static),
            _ => Err("expected adaptive or static".into()),
        }
    }
}

impl fmt::Display for BatchingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adaptive => "adaptive",
            Self::Static => "static",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_back_as_it_is_written() {
        for mode in [BatchingMode::Adaptive, BatchingMode::Static] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("dynamic".parse::<BatchingMode>().is_err());
        assert_eq!(BatchingMode::default(), BatchingMode::Adaptive);
    }
}
