//! Rewrites models, so that ONNX Runtime can serve them and no request can crash the process. The functions take and
//! return the bytes of a file. They replace a few nodes and copy all others byte by byte.

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

/// Domain of the server's own operators, which return an error where the standard operators can crash the process:
///
/// - `Div`, `Mod` and `Fmod` (a `Mod` with `fmod` 1) compute the same as the standard operators, for every numeric
///   type. Division of an integer by zero is an error; a result that does not fit its type wraps around.
/// - `NotEmpty` passes a shape through, and fails if one of its sizes is 0. With the attribute `axis`, it checks only
///   that size.
/// - `Positive` passes integers through, and fails if one of them is less than 1.
pub const CHECKED_DOMAIN: &str = "decima.checked";

/// A model whose outputs were sequences of maps, and are tensors now.
#[derive(Clone, Debug)]
pub struct Unzipped {
    /// The model's new bytes.
    pub bytes: Bytes,
    /// The outputs that changed.
    pub probabilities: Vec<Probabilities>,
}

/// A model with guarded nodes, which no request can use to crash the process.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The model's new bytes. Its session must register the operators of [`CHECKED_DOMAIN`].
    pub bytes: Bytes,
    /// Operators and names of the nodes that are guarded.
    pub nodes: Vec<String>,
}

/// Turns outputs that are sequences of maps (class to probability) into tensors. `raw` are the bytes from which `model`
/// was read. `None` if there is no such output. This and the functions below also return `None` for bytes that they
/// cannot read; ONNX Runtime then reports what is wrong with them.
pub fn unzip(raw: &[u8], model: &ModelProto) -> Option<Unzipped> {
    let mut changes = Changes::default();
    let probabilities = zipmap::unzip(model.graph.as_ref()?, &mut changes);
    let bytes = changes.apply(raw, model)?;
    Some(Unzipped { bytes, probabilities })
}

/// Guards the nodes that a request could use to crash the process. `None` if there are none.
pub fn guard(raw: &[u8], model: &ModelProto) -> Option<Guarded> {
    let mut changes = Changes { domain: Some(CHECKED_DOMAIN), ..Changes::default() };
    let mut guard = guard::Guard::new(model, &mut changes);
    guard.graph(model.graph.as_ref()?, None);
    let nodes = guard.guarded;
    let bytes = changes.apply(raw, model)?;
    Some(Guarded { bytes, nodes })
}

/// Replaces the locale of `StringNormalizer` nodes by one that is always installed. `None` if there is nothing to
/// replace, or if the new locale would map letters differently.
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

/// Advice for an output that is not a tensor and that [`unzip`] cannot change: how to export the model differently.
/// `None` if the output is unknown.
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

/// Whether the node, or a node in one of its subgraphs, uses the tensor of this name.
fn takes(node: &NodeProto, name: &str) -> bool {
    let in_graph = |graph: &GraphProto| graph.node.iter().any(|node| takes(node, name));
    node.input.iter().any(|input| input == name) || graphs_of(node).any(in_graph)
}
