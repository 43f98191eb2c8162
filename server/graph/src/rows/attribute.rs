//! Access to the attributes of a node.

use std::str;

use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

pub(crate) fn find<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub(crate) fn int(node: &NodeProto, name: &str) -> Option<i64> {
    find(node, name).map(|attribute| attribute.i)
}

pub(crate) fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    find(node, name).map(|attribute| attribute.ints.as_slice())
}

pub(crate) fn floats<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [f32]> {
    find(node, name).map(|attribute| attribute.floats.as_slice())
}

pub(crate) fn text<'a>(node: &'a NodeProto, name: &str) -> Option<&'a str> {
    find(node, name).and_then(|attribute| str::from_utf8(&attribute.s).ok())
}

pub(crate) fn tensor<'a>(node: &'a NodeProto, name: &str) -> Option<&'a TensorProto> {
    find(node, name).and_then(|attribute| attribute.t.as_deref())
}

pub(crate) fn graph<'a>(node: &'a NodeProto, name: &str) -> Option<&'a GraphProto> {
    find(node, name).and_then(|attribute| attribute.g.as_deref())
}
