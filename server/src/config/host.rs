//! What defaults need to know of the machine, found out once, before configuration.

use std::{io::IsTerminal, path::Path};

use crate::platform::cpu_budget::{self, CpuBudget};

/// Where `KServe` mounts the models of an inference service.
pub(super) const MOUNTED_MODELS: &str = "/mnt/models";

/// The machine, as far as defaults depend on it.
#[derive(Debug, Clone)]
pub struct Host {
    /// `/mnt/models` is there.
    pub models_mounted: bool,
    /// The log goes to a terminal.
    pub terminal: bool,
    /// Processors that this process may use.
    pub cpu_budget: CpuBudget,
}

impl Host {
    /// Looks at this machine.
    pub fn detect() -> Self {
        Self {
            models_mounted: Path::new(MOUNTED_MODELS).exists(),
            terminal: std::io::stderr().is_terminal(),
            cpu_budget: cpu_budget::detect(),
        }
    }
}
