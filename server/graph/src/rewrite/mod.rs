//! Rewriting models, so that they can be served and no request can end the process: a few nodes of a file are replaced.
//! Bytes come in and go out; all other nodes are copied byte by byte.

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
/// - `Div`, `Mod` and `Fmod` (a `Mod` with `fmod` 1) compute as the standard ones, on every type of numbers. A result that
///   does not fit its type wraps; division of an integer by zero is an error.
/// - `NotEmpty` lets a shape through unless one of its sizes is 0; with the attribute `axis`, unless that one is.
/// - `Positive` lets integers through unless one is less than 1.
pub const CHECKED_DOMAIN: &str = "decima.checked";

/// A model whose outputs were sequences of maps.
#[derive(Clone, Debug)]
pub struct Unzipped {
    /// The model's new bytes.
    pub bytes: Bytes,
    /// Those outputs.
    pub probabilities: Vec<Probabilities>,
}

/// A model whose nodes cannot end the process.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The model's new bytes. A session of it needs the operators of [`CHECKED_DOMAIN`].
    pub bytes: Bytes,
    /// Operators and names of the nodes that are guarded.
    pub nodes: Vec<String>,
}

/// Makes tensors of the outputs that are probabilities in maps, in a model that was read from `raw`; `None` where there
/// are none. Here and below, bytes that cannot be read are left as they are: ONNX Runtime says what is wrong with them.
pub fn unzip(raw: &[u8], model: &ModelProto) -> Option<Unzipped> {
    let mut changes = Changes::default();
    let probabilities = zipmap::unzip(model.graph.as_ref()?, &mut changes);
    let bytes = changes.apply(raw, model)?;
    Some(Unzipped { bytes, probabilities })
}

/// Guards the nodes that the values and sizes of a request could make end the process; `None` where there are none.
pub fn guard(raw: &[u8], model: &ModelProto) -> Option<Guarded> {
    let mut changes = Changes { domain: Some(CHECKED_DOMAIN), ..Changes::default() };
    let mut guard = guard::Guard::new(model, &mut changes);
    guard.graph(model.graph.as_ref()?, None);
    let nodes = guard.guarded;
    let bytes = changes.apply(raw, model)?;
    Some(Guarded { bytes, nodes })
}

/// Has texts changed to lower or upper case by a locale that is always there; `None` where that changes nothing, or
/// would change letters.
pub fn settle_locale(raw: &[u8], model: &ModelProto) -> Option<Bytes> {
    let mut changes = Changes::default();
    let functions = model.functions.iter().flat_map(|function| &function.node);
    for node in model.graph.iter().flat_map(|graph| &graph.node).chain(functions) {
        settle_locales(node, &mut changes);
    }
    changes.apply(raw, model)
}

fn settle_locales(node: &NodeProto, changes: &mut Changes) {
    locale::settle(node, changes);
    for node in graphs_of(node).flat_map(|graph| &graph.node) {
        settle_locales(node, changes);
    }
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
