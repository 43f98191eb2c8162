//! Replaces the locale of `StringNormalizer`, which changes the case of text. Its default is `en_US.UTF-8`, which slim
//! container images do not have. ONNX Runtime then refuses to load the model.

use bytes::Bytes;

use super::edit::Changes;
use crate::proto::{AttributeProto, NodeProto, attribute_type};

/// A locale that glibc contains since 2.35, and that most images had before. It maps letters to upper and lower case as
/// `en_US.UTF-8` does.
const ALWAYS_THERE: &[u8] = b"C.UTF-8";

/// Languages whose locales map the letters i and I differently: they have a dotless i, and an I with a dot.
const OTHER_LETTERS: [&str; 6] = ["tr", "az", "crh", "ku", "tt", "ber"];

/// Records the change of the locale of a `StringNormalizer`, if the new locale maps letters in the same way.
pub(super) fn settle(node: &NodeProto, changes: &mut Changes) {
    if node.op_type != "StringNormalizer" {
        return;
    }
    let named =
        node.attribute.iter().find(|attribute| attribute.name == "locale").map(|attribute| &attribute.s[..]);
    let language = named.map(|name| String::from_utf8_lossy(name)).unwrap_or_default();
    let language = language.split(['_', '.', '@']).next().unwrap_or_default();
    if OTHER_LETTERS.contains(&language) || named == Some(ALWAYS_THERE) {
        return;
    }
    let mut settled = node.clone();
    settled.attribute.retain(|attribute| attribute.name != "locale");
    settled.attribute.push(AttributeProto {
        name: "locale".into(),
        s: Bytes::from_static(ALWAYS_THERE),
        r#type: attribute_type::STRING,
        ..AttributeProto::default()
    });
    changes.replace(node, vec![settled]);
}
