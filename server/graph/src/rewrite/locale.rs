//! Texts in lower or upper case: `StringNormalizer` names a locale, `en_US.UTF-8` where the file names none, which slim
//! container images do not have. ONNX Runtime then refuses the model.

use bytes::Bytes;

use super::edit::Changes;
use crate::proto::{AttributeProto, NodeProto, attribute_type};

/// A locale that is built into the C library since glibc 2.35, and that images had before. Its letters are those of
/// `en_US.UTF-8`.
const ALWAYS_THERE: &[u8] = b"C.UTF-8";

/// Languages whose locales pair the letters i and I with other letters than all the rest do: with a dotless i, and an I
/// with a dot.
const OTHER_LETTERS: [&str; 6] = ["tr", "az", "crh", "ku", "tt", "ber"];

/// Notes that a `StringNormalizer` is to have a locale that is there, if the letters are the same in it.
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
