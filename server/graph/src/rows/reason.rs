//! Reasons why rows are not proven independent, in words for the model's owner.

use std::fmt;

use crate::proto::NodeProto;

/// Identifies a node for a person: by its name, or else by its first output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    /// The name in the file; may be empty.
    pub name: String,
    /// The operator.
    pub operator: String,
    /// The first output; may be empty.
    pub output: String,
}

impl NodeName {
    pub(crate) fn of(node: &NodeProto) -> Self {
        Self {
            name: node.name.clone(),
            operator: node.op_type.clone(),
            output: node.output.first().cloned().unwrap_or_default(),
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            write!(f, "node '{}' ({})", self.name, self.operator)
        } else if self.output.is_empty() {
            write!(f, "a node of type {}", self.operator)
        } else {
            write!(f, "the {} that gives '{}'", self.operator, self.output)
        }
    }
}

/// The reason why rows are not proven independent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotProven {
    /// The node that mixes rows. `None` if the reason is an input or an output.
    pub node: Option<NodeName>,
    /// What the node does, as the rest of a sentence that starts with the node. A whole sentence if there is no node.
    pub reason: String,
}

impl NotProven {
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self { node: None, reason: reason.into() }
    }
}

impl fmt::Display for NotProven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node} {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for NotProven {}
