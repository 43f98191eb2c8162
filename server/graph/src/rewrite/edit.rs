//! Replaces some nodes in the bytes of a model. Everything else is copied unchanged, even fields that this crate does
//! not know.

use std::{collections::HashMap, ptr};

use bytes::Bytes;
use prost::Message;

use super::wire::{Malformed, fields, put};
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};

/// The changes to make.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) nodes: HashMap<usize, Vec<NodeProto>>,
    pub(super) outputs: HashMap<usize, ValueInfoProto>,
    /// The operator domain that the new nodes use, if it is not the standard one.
    pub(super) domain: Option<&'static str>,
}

/// Identifies a node by its address in the decoded model, which does not move while changes are collected.
fn key(node: &NodeProto) -> usize {
    ptr::from_ref(node).addr()
}

impl Changes {
    /// Replaces `node` by the nodes in `by`.
    pub(super) fn replace(&mut self, node: &NodeProto, by: Vec<NodeProto>) {
        self.nodes.insert(key(node), by);
    }

    /// The nodes that replace `node`, if any.
    pub(super) fn replaced(&self, node: &NodeProto) -> Option<&[NodeProto]> {
        self.nodes.get(&key(node)).map(Vec::as_slice)
    }

    /// Replaces the declaration of the model's output at `position`.
    pub(super) fn declare_output(&mut self, position: usize, output: ValueInfoProto) {
        self.outputs.insert(position, output);
    }

    /// Returns the bytes of the model with the changes. `None` if there are no changes, or if `raw` does not match
    /// `model`.
    pub(super) fn apply(&self, raw: &[u8], model: &ModelProto) -> Option<Bytes> {
        let has_changes = !(self.nodes.is_empty() && self.outputs.is_empty());
        has_changes.then(|| self.model(raw, model).ok().map(Bytes::from)).flatten()
    }

    fn model(&self, raw: &[u8], model: &ModelProto) -> Result<Vec<u8>, Malformed> {
        let mut edited = Vec::with_capacity(raw.len() + raw.len() / 64 + 4096);
        let mut functions = model.functions.iter();
        let mut graph = model.graph.as_ref();
        for field in fields(raw) {
            let field = field?;
            let content = match field.tag {
                // Protocol buffers allow a message field to be split into several parts. Such a file is refused,
                // because the parts would have to be merged before the change.
                7 => Some(self.graph(field.content, graph.take().ok_or(Malformed)?, true)?),
                25 => self.function(field.content, functions.next().ok_or(Malformed)?)?,
                _ => None,
            };
            copy(&mut edited, field.whole, field.tag, content.as_deref());
        }
        if let Some(import) = self.import(&model.opset_import) {
            put(&mut edited, 8, &import);
        }
        Ok(edited)
    }

    fn graph(&self, raw: &[u8], graph: &GraphProto, is_main: bool) -> Result<Vec<u8>, Malformed> {
        let mut edited = Vec::with_capacity(raw.len() + 4096);
        let mut nodes = graph.node.iter();
        let mut outputs = 0;
        for field in fields(raw) {
            let field = field?;
            match field.tag {
                1 => self.node(&mut edited, field.whole, field.content, 1, nodes.next().ok_or(Malformed)?)?,
                12 => {
                    let output = self.outputs.get(&outputs).filter(|_| is_main).map(Message::encode_to_vec);
                    copy(&mut edited, field.whole, 12, output.as_deref());
                    outputs += 1;
                }
                _ => edited.extend_from_slice(field.whole),
            }
        }
        Ok(edited)
    }

    fn function(&self, raw: &[u8], function: &FunctionProto) -> Result<Option<Vec<u8>>, Malformed> {
        if !function.node.iter().any(|node| self.concerns(node)) {
            return Ok(None);
        }
        let mut edited = Vec::with_capacity(raw.len() + 4096);
        let mut nodes = function.node.iter();
        for field in fields(raw) {
            let field = field?;
            if field.tag == 7 {
                self.node(&mut edited, field.whole, field.content, 7, nodes.next().ok_or(Malformed)?)?;
            } else {
                edited.extend_from_slice(field.whole);
            }
        }
        if let Some(import) = self.import(&function.opset_import) {
            put(&mut edited, 9, &import);
        }
        Ok(Some(edited))
    }

    fn node(
        &self,
        edited: &mut Vec<u8>,
        whole: &[u8],
        raw: &[u8],
        tag: u64,
        node: &NodeProto,
    ) -> Result<(), Malformed> {
        if let Some(nodes) = self.replaced(node) {
            for node in nodes {
                put(edited, tag, &node.encode_to_vec());
            }
            return Ok(());
        }
        if !self.concerns(node) {
            edited.extend_from_slice(whole);
            return Ok(());
        }
        let mut attributes = node.attribute.iter();
        let mut with_graphs = Vec::with_capacity(raw.len() + 4096);
        for field in fields(raw) {
            let field = field?;
            if field.tag != 5 {
                with_graphs.extend_from_slice(field.whole);
                continue;
            }
            let attribute = attributes.next().ok_or(Malformed)?;
            let mut graph = attribute.g.as_deref();
            let mut graphs = attribute.graphs.iter();
            let mut changed = Vec::with_capacity(field.content.len() + 4096);
            for part in fields(field.content) {
                let part = part?;
                let content = match part.tag {
                    6 => Some(self.graph(part.content, graph.take().ok_or(Malformed)?, false)?),
                    11 => Some(self.graph(part.content, graphs.next().ok_or(Malformed)?, false)?),
                    _ => None,
                };
                copy(&mut changed, part.whole, part.tag, content.as_deref());
            }
            put(&mut with_graphs, 5, &changed);
        }
        put(edited, tag, &with_graphs);
        Ok(())
    }

    /// Whether the node, or a node in one of its subgraphs, is to be replaced.
    fn concerns(&self, node: &NodeProto) -> bool {
        let in_graph = |graph: &GraphProto| graph.node.iter().any(|node| self.concerns(node));
        self.nodes.contains_key(&key(node)) || graphs_of(node).any(in_graph)
    }

    /// The import of the domain, encoded. `None` if the model already imports it.
    fn import(&self, imports: &[OperatorSetIdProto]) -> Option<Vec<u8>> {
        let domain = self.domain.filter(|domain| imports.iter().all(|import| import.domain != *domain))?;
        Some(OperatorSetIdProto { domain: domain.into(), version: 1 }.encode_to_vec())
    }
}

/// The subgraphs of a node, which are attributes.
pub(super) fn graphs_of(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.as_deref().into_iter().chain(&attribute.graphs))
}

fn copy(edited: &mut Vec<u8>, whole: &[u8], tag: u64, content: Option<&[u8]>) {
    match content {
        Some(content) => put(edited, tag, content),
        None => edited.extend_from_slice(whole),
    }
}
