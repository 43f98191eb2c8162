//! Models made servable and safe: a few nodes of a file get others in their place. Bytes in, bytes out; what is not
//! concerned is copied byte by byte.

mod edit;
mod guard;
mod locale;
mod scope;
mod wire;
mod zipmap;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::edit::{Changes, graphs_of};
pub use self::zipmap::Probabilities;
use crate::proto::{GraphProto, ModelProto, NodeProto};

/// The domain of the server's own operators, which guard against what ends the process:
///
/// - `Div`, `Mod` and `Fmod` (a `Mod` with `fmod` 1) as the standard ones, of any numbers. What does not fit wraps; an
///   integer by zero is an error.
/// - `NotEmpty` lets a shape through unless one of its sizes is 0; with the attribute `axis`, unless that one is.
/// - `Positive` lets integers through unless one is less than 1.
pub const CHECKED_DOMAIN: &str = "decima.checked";

/// What the rewriting may do beside what every model needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// Texts are changed to lower or upper case by a locale that is always there.
    pub settle_locale: bool,
}

/// A model that was looked through.
#[derive(Clone, Debug, Default)]
pub struct Rewritten {
    /// The model's new bytes; `None` where nothing had to be changed.
    pub bytes: Option<Bytes>,
    /// Operators and names of the nodes that are guarded: a session needs the operators of [`CHECKED_DOMAIN`].
    pub guarded: Vec<String>,
    /// Outputs that were sequences of maps.
    pub probabilities: Vec<Probabilities>,
}

/// Looks through a model that was read from `raw`. Where those bytes cannot be followed nothing is changed, and ONNX
/// Runtime will say what it makes of them.
pub fn rewrite(raw: &[u8], model: &ModelProto, wishes: Wishes) -> Rewritten {
    let Some(graph) = &model.graph else { return Rewritten::default() };
    let mut changes = Changes::default();
    let probabilities = zipmap::unzip(graph, &mut changes);
    if wishes.settle_locale {
        let functions = model.functions.iter().flat_map(|function| &function.node);
        graph.node.iter().chain(functions).for_each(|node| settle_locales(node, &mut changes));
    }
    let mut guard = guard::Guard::new(model, &mut changes);
    guard.graph(graph, None);
    let guarded = guard.guarded;
    if changes.is_empty() {
        return Rewritten::default();
    }
    changes.domain = (!guarded.is_empty()).then_some(CHECKED_DOMAIN);
    match changes.apply(raw, model) {
        Ok(bytes) => Rewritten { bytes: Some(bytes.into()), guarded, probabilities },
        Err(wire::Malformed) => Rewritten::default(),
    }
}

fn settle_locales(node: &NodeProto, changes: &mut Changes) {
    locale::settle(node, changes);
    graphs_of(node).flat_map(|graph| &graph.node).for_each(|node| settle_locales(node, changes));
}

/// Why an output that is no tensor cannot be made one, and what can be done where the model comes from.
pub fn way_out(model: &ModelProto, output: &str) -> Option<&'static str> {
    let graph = model.graph.as_ref()?;
    let node = graph.node.iter().find(|node| node.output.iter().any(|name| name == output))?;
    Some(match node.op_type.as_str() {
        "ZipMap" => ZIP_MAP,
        "CastMap" | "DictVectorizer" => "export the model with tensors in place of maps",
        op if op.starts_with("Sequence") || op == "SplitToSequence" => {
            "export it with a tensor in place of the sequence, as ConcatFromSequence makes one, or with an output for \
             each element"
        }
        _ if has_zip_map(graph) => ZIP_MAP,
        _ => "export it with tensors as outputs",
    })
}

const ZIP_MAP: &str =
    "export it without ZipMap: skl2onnx and onnxmltools take options={id(model): {'zipmap': False}}";

fn has_zip_map(graph: &GraphProto) -> bool {
    let in_node = |node: &NodeProto| zipmap::is_zip_map(node) || graphs_of(node).any(has_zip_map);
    graph.node.iter().any(in_node)
}

/// Whether a node, or one in its graphs, takes the tensor of this name.
fn takes(node: &NodeProto, name: &str) -> bool {
    let in_graph = |graph: &GraphProto| graph.node.iter().any(|node| takes(node, name));
    node.input.iter().any(|input| input == name) || graphs_of(node).any(in_graph)
}
