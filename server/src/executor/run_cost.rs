//! How long the runs of a model take.

use std::time::Duration;

/// The time of a run by the number of its rows, measured at warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunCost {
    /// Time of a run of one row.
    pub first_row: Duration,
    /// Time that each further row adds.
    pub further_row: Duration,
}

impl RunCost {
    /// Returns the cost of a model whose rows take the same time whether they run together or one by one.
    pub fn of_rows(row: Duration) -> Self {
        Self { first_row: row, further_row: row }
    }

    /// Returns the time that a request of one row saves by joining the run of another.
    pub fn saved_by_joining(&self) -> Duration {
        self.first_row.saturating_sub(self.further_row)
    }
}
