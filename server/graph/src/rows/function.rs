//! Expands the functions of the file in place of the nodes that call them.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use super::{value::Value, walk::Walk};
use crate::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, domain};

/// The functions of a file, by domain and name.
#[derive(Clone)]
pub(crate) struct Functions<'m>(Rc<HashMap<(&'m str, &'m str), &'m FunctionProto>>);

#[derive(Clone, Copy)]
pub(crate) struct Function<'m>(&'m FunctionProto);

impl<'m> Functions<'m> {
    pub(crate) fn of(model: &'m ModelProto) -> Self {
        let by_name =
            |function: &'m FunctionProto| ((domain(&function.domain), function.name.as_str()), function);
        Self(Rc::new(model.functions.iter().map(by_name).collect()))
    }

    pub(crate) fn find(&self, node: &NodeProto) -> Option<Function<'m>> {
        self.0.get(&(domain(&node.domain), node.op_type.as_str())).map(|function| Function(function))
    }
}

impl Function<'_> {
    pub(crate) fn outputs(
        self,
        walk: &mut Walk<'_>,
        call: &NodeProto,
        inputs: Vec<Option<Value>>,
    ) -> Vec<Value> {
        let Self(function) = self;
        let named = function.input.iter().zip(inputs);
        let scope = named.filter_map(|(name, value)| value.map(|value| (name.clone(), value))).collect();
        let given = |name: &str| call.attribute.iter().find(|attribute| attribute.name == name);
        let default = |name: &str| function.attribute_proto.iter().find(|attribute| attribute.name == name);
        let value_of = |name: &str| given(name).or_else(|| default(name));
        let nodes = resolved(&function.node, &value_of, 0);
        let mut outputs = walk.body(&nodes, scope, &function.output, &function.opset_import);
        outputs.truncate(call.output.len());
        if outputs.len() < call.output.len() {
            return walk.mixed(call, "takes more outputs than its function has", true);
        }
        outputs
    }
}

type ValueOf<'a> = dyn Fn(&str) -> Option<&'a AttributeProto> + 'a;

fn refers(nodes: &[NodeProto], depth: usize) -> bool {
    depth > 24
        || nodes.iter().flat_map(|node| &node.attribute).any(|attribute| {
            !attribute.ref_attr_name.is_empty()
                || attribute.g.as_ref().is_some_and(|g| refers(&g.node, depth + 1))
        })
}

/// The nodes, with each reference to an attribute of the function replaced by the attribute of the call.
fn resolved<'n>(nodes: &'n [NodeProto], value_of: &ValueOf<'_>, depth: usize) -> Cow<'n, [NodeProto]> {
    if depth > 24 || !refers(nodes, 0) {
        return Cow::Borrowed(nodes);
    }
    let node = |node: &NodeProto| NodeProto {
        attribute: node.attribute.iter().filter_map(|attribute| bound(attribute, value_of, depth)).collect(),
        ..node.clone()
    };
    Cow::Owned(nodes.iter().map(node).collect())
}

/// The attribute with its reference replaced. `None` if the call does not give it.
fn bound(attribute: &AttributeProto, value_of: &ValueOf<'_>, depth: usize) -> Option<AttributeProto> {
    if !attribute.ref_attr_name.is_empty() {
        let value = value_of(&attribute.ref_attr_name)?;
        return Some(AttributeProto { name: attribute.name.clone(), ..value.clone() });
    }
    let Some(graph) = attribute.g.as_deref() else { return Some(attribute.clone()) };
    let node = resolved(&graph.node, value_of, depth + 1).into_owned();
    Some(AttributeProto { g: Some(Box::new(GraphProto { node, ..graph.clone() })), ..attribute.clone() })
}
