//! Detects models that were exported in training mode.

use crate::proto::{GraphProto, ModelProto, NodeProto};

/// Deepest nesting of subgraphs that is searched. Nodes below are not found.
const MAX_DEPTH: usize = 24;

/// Whether a node normalises by statistics of the batch and updates a running mean, as in training.
pub fn is_in_training_mode(model: &ModelProto) -> bool {
    let functions = model.functions.iter().flat_map(|function| &function.node);
    let main = model.graph.iter().flat_map(|graph| &graph.node);
    main.chain(functions).any(|node| trains(node, MAX_DEPTH))
}

fn trains(node: &NodeProto, depth: usize) -> bool {
    let is_set =
        |name: &str| node.attribute.iter().any(|attribute| attribute.name == name && attribute.i == 1);
    if node.op_type == "BatchNormalization" && is_set("training_mode") {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    let within = |graph: &GraphProto| graph.node.iter().any(|node| trains(node, depth));
    node.attribute
        .iter()
        .any(|attribute| attribute.g.as_deref().is_some_and(within) || attribute.graphs.iter().any(within))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::AttributeProto;

    fn node(op_type: &str, attribute: AttributeProto) -> NodeProto {
        NodeProto { op_type: op_type.into(), attribute: vec![attribute], ..NodeProto::default() }
    }

    fn trains_with(node: NodeProto) -> bool {
        let graph = GraphProto { node: vec![node], ..GraphProto::default() };
        is_in_training_mode(&ModelProto { graph: Some(graph), ..ModelProto::default() })
    }

    #[test]
    fn normalisation_in_training_mode_is_found_in_branches_too() {
        let mode = |i| AttributeProto { name: "training_mode".into(), i, ..AttributeProto::default() };
        let trained = node("BatchNormalization", mode(1));
        assert!(!trains_with(node("BatchNormalization", mode(0))));
        assert!(trains_with(trained.clone()));
        let branch = GraphProto { node: vec![trained], ..GraphProto::default() };
        let branch = AttributeProto { g: Some(Box::new(branch)), ..AttributeProto::default() };
        assert!(trains_with(node("If", branch)));
    }
}
