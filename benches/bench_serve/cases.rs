//! The kinds of load that are measured, and the goal of each.

use anyhow::ensure;

/// Pictures in a large request. Also the batch size of raw ONNX Runtime in rows where requests are batched.
pub(crate) const BATCH: usize = 16;

/// A model under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// A convolutional network, for which ONNX Runtime takes most of the time.
    Small,
    /// A single matrix product, for which everything but ONNX Runtime takes most of the time.
    Mlp,
}

impl Model {
    pub(crate) const ALL: [Self; 2] = [Self::Small, Self::Mlp];

    /// The model's name in the repository.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Mlp => "mlp",
        }
    }
}

/// Protocol and encoding of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1 with binary tensors in requests and responses.
    Binary,
    /// HTTP/1.1 with JSON in requests and responses.
    Json,
    /// gRPC over HTTP/2 without TLS, with raw contents and one stream per connection.
    Grpc,
}

impl Wire {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Json => "JSON",
            Self::Grpc => "gRPC",
        }
    }
}

/// The goal of a row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The CPU time is at most this multiple of the limit.
    Ratio(f64),
    /// The CPU time is at most this number of microseconds per request.
    Micros(f64),
}

/// A kind of load, which is a row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) model: Model,
    pub(crate) wire: Wire,
    /// Pictures in each request.
    pub(crate) pictures: usize,
    /// Number of connections. Each has one request in flight.
    pub(crate) connections: usize,
    /// Whether requests have the header `Accept-Encoding: gzip, deflate`, as those of `requests`, `httpx` and browsers
    /// do.
    pub(crate) accepts_gzip: bool,
    pub(crate) goal: Goal,
    /// Goal for the comparison with another server: our request rate divided by its rate, at least.
    pub(crate) least_rate: Option<f64>,
}

impl Case {
    const fn new(model: Model, wire: Wire, pictures: usize, connections: usize, goal: Goal) -> Self {
        Self { model, wire, pictures, connections, accepts_gzip: false, goal, least_rate: None }
    }

    const fn at_rate(self, least: f64) -> Self {
        Self { least_rate: Some(least), ..self }
    }

    const fn accepting_gzip(self) -> Self {
        Self { accepts_gzip: true, ..self }
    }

    /// The name of the row in the table.
    pub(crate) fn name(&self) -> String {
        let pictures =
            if self.pictures == 1 { String::new() } else { format!(", {} pictures", self.pictures) };
        let connections = match self.connections {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        };
        let gzip = if self.accepts_gzip { ", gzip accepted" } else { "" };
        format!("{} {}{pictures}{gzip}, {connections}", self.model.name(), self.wire.name())
    }

    /// Batch size of raw ONNX Runtime for the limit of this load; 1 for single pictures over one connection, which are
    /// never batched.
    pub(crate) fn raw_rows(&self) -> usize {
        if self.connections == 1 && self.pictures == 1 { 1 } else { BATCH }
    }
}

/// The rows whose name contains one of `texts`, regardless of case. All rows if `texts` is empty.
///
/// # Errors
/// No row's name contains a text.
pub(crate) fn chosen(texts: &[String]) -> anyhow::Result<Vec<Case>> {
    let texts: Vec<String> = texts.iter().map(|text| text.trim().to_lowercase()).collect();
    let is_chosen = |case: &Case| {
        let name = case.name().to_lowercase();
        texts.is_empty() || texts.iter().any(|text| name.contains(text))
    };
    let chosen: Vec<Case> = CASES.into_iter().filter(is_chosen).collect();
    ensure!(!chosen.is_empty(), "--only: no row is called that; the rows are\n{}", names().join("\n"));
    Ok(chosen)
}

fn names() -> Vec<String> {
    CASES.iter().map(Case::name).collect()
}

/// Every row of the table.
const CASES: [Case; 13] = [
    Case::new(Model::Small, Wire::Binary, 1, 64, Goal::Ratio(1.10)).at_rate(1.2),
    Case::new(Model::Small, Wire::Json, 1, 64, Goal::Ratio(1.15)).at_rate(1.3),
    Case::new(Model::Small, Wire::Grpc, 1, 64, Goal::Ratio(1.15)).at_rate(1.2),
    Case::new(Model::Small, Wire::Binary, 1, 1, Goal::Ratio(1.18)),
    Case::new(Model::Small, Wire::Json, 1, 1, Goal::Ratio(1.25)),
    Case::new(Model::Small, Wire::Grpc, 1, 1, Goal::Ratio(1.28)),
    Case::new(Model::Small, Wire::Binary, BATCH, 8, Goal::Ratio(1.02)),
    Case::new(Model::Small, Wire::Json, BATCH, 8, Goal::Ratio(1.10)),
    Case::new(Model::Mlp, Wire::Binary, 1, 64, Goal::Ratio(1.7)).at_rate(1.6),
    Case::new(Model::Mlp, Wire::Json, 1, 64, Goal::Ratio(2.1)).at_rate(2.2),
    Case::new(Model::Mlp, Wire::Json, 1, 64, Goal::Ratio(2.1)).accepting_gzip(),
    Case::new(Model::Mlp, Wire::Grpc, 1, 64, Goal::Ratio(2.0)).at_rate(1.4),
    Case::new(Model::Mlp, Wire::Json, BATCH, 8, Goal::Micros(120.0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_parts_of_their_names() {
        let chosen = |texts: &[&str]| chosen(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert_eq!(chosen(&[]).unwrap().len(), CASES.len());
        let few = chosen(&["small grpc", " 16 pictures"]).unwrap();
        let few: Vec<_> = few.iter().map(|case| (case.model, case.wire, case.pictures)).collect();
        assert_eq!(
            few,
            [
                (Model::Small, Wire::Grpc, 1),
                (Model::Small, Wire::Grpc, 1),
                (Model::Small, Wire::Binary, 16),
                (Model::Small, Wire::Json, 16),
                (Model::Mlp, Wire::Json, 16),
            ]
        );
        assert!(chosen(&["large"]).unwrap_err().to_string().contains("mlp JSON, 64 connections"));
    }
}
