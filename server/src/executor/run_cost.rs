//! How long a model's runs take.

use std::time::Duration;

/// How long a run takes, by its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunCost {
    /// With one row.
    pub first_row: Duration,
    /// What each further row adds.
    pub further_row: Duration,
}

impl RunCost {
    /// Of a model whose rows cost the same, in one run or in several.
    pub fn of_rows(row: Duration) -> Self {
        Self { first_row: row, further_row: row }
    }

    /// What two requests of one row spare if they share a run.
    pub fn spared(&self) -> Duration {
        self.first_row.saturating_sub(self.further_row)
    }
}
