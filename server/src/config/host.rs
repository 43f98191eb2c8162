//! What some defaults depend on: properties of the machine, read once before the settings are resolved.

use std::{io::IsTerminal, path::Path};

use crate::platform::cpu_budget::{self, CpuBudget};

/// Where `KServe` mounts the models of an inference service.
pub(super) const MOUNTED_MODELS: &str = "/mnt/models";

/// The machine, as far as defaults depend on it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Whether `/mnt/models` exists.
    pub models_mounted: bool,
    /// Whether the log goes to a terminal.
    pub terminal: bool,
    /// Processors that this process may use.
    pub cpu_budget: CpuBudget,
}

impl Host {
    /// Reads the properties of this machine.
    pub fn detect() -> Self {
        Self {
            models_mounted: Path::new(MOUNTED_MODELS).exists(),
            terminal: std::io::stderr().is_terminal(),
            cpu_budget: cpu_budget::detect(),
        }
    }
}
