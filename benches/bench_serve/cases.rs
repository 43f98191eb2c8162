//! What is measured: kinds of requests, and how close to the limit each is meant to be.

use anyhow::ensure;

/// Pictures of a batch, where raw ONNX Runtime is compared with joined requests, and of a large request.
pub(crate) const BATCH: usize = 16;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// A convolutional network: ONNX Runtime is most of the work.
    Small,
    /// One matrix product: everything around ONNX Runtime is most of the work.
    Mlp,
}

impl Model {
    pub(crate) const ALL: [Self; 2] = [Self::Small, Self::Mlp];

    /// Its name in the repository.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Mlp => "mlp",
        }
    }
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1 with binary tensors both ways.
    Binary,
    /// HTTP/1.1 with JSON both ways.
    Json,
    /// gRPC over h2c with raw contents, one stream a connection.
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

/// What a row is meant to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this many times the limit.
    Ratio(f64),
    /// At most this many microseconds of CPU time a request.
    Micros(f64),
}

/// One kind of load; a row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) model: Model,
    pub(crate) wire: Wire,
    /// Pictures in a request.
    pub(crate) pictures: usize,
    /// Connections, with one request in flight on each.
    pub(crate) connections: usize,
    /// Whether the client says that it reads gzip and deflate, as `requests`, `httpx` and browsers do.
    pub(crate) accepts_gzip: bool,
    pub(crate) goal: Goal,
    /// The least rate that it is meant to reach, over that of another server.
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

    /// What it is called in the table.
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

    /// Rows of a run of raw ONNX Runtime that this load is compared with: one where nothing can be joined.
    pub(crate) fn raw_rows(&self) -> usize {
        if self.connections == 1 && self.pictures == 1 { 1 } else { BATCH }
    }
}

/// The rows whose name contains one of `texts`, whatever its case; all of them where there are none.
///
/// # Errors
/// No row does.
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
