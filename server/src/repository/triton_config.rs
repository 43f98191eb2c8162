//! Triton's `config.pbtxt`: finds settings in it that have a counterpart in `config.toml`. The server only logs this as
//! advice; the file has no other effect.

/// The advice about a file that cannot be read or is too large.
pub(super) const UNREAD: &str = "settings belong in config.toml";

/// Keys without advice: the ONNX file has the same information, or they do not matter here.
const KNOWN_FROM_THE_MODEL: [&str; 7] =
    ["name", "platform", "backend", "runtime", "input", "output", "model_transaction_policy"];

/// Keys of `config.pbtxt`, each with its counterpart in `config.toml`.
const COUNTERPARTS: [(&str, &str); 7] = [
    ("max_batch_size", "max_batch_size"),
    ("version_policy", "version_policy"),
    ("default_model_filename", "default_model_filename"),
    ("instance_group.count", "[instance_group] count"),
    ("dynamic_batching", "[dynamic_batching]"),
    ("dynamic_batching.preferred_batch_size", "[dynamic_batching] preferred_batch_size"),
    ("dynamic_batching.max_queue_delay_microseconds", "[dynamic_batching] max_queue_delay_microseconds"),
];

/// Most levels of nested messages that are read, which is more than the format has.
const DEEPEST: usize = 16;

/// Most keys without a counterpart that are named.
const MOST_NAMED: usize = 8;

/// Returns advice about a `config.pbtxt`; `None` if there is nothing to carry over.
pub(super) fn advice(text: &str) -> Option<String> {
    let fields = fields(text);
    let mut lines: Vec<String> = Vec::new();
    let mut without: Vec<&str> = Vec::new();
    for (key, value) in &fields {
        let counterpart = COUNTERPARTS.iter().find(|(theirs, _)| theirs == key).map(|(_, ours)| *ours);
        let top = key.split('.').next().unwrap_or(key);
        match counterpart {
            // Batching is on by default. The settings inside have counterparts of their own.
            Some("[dynamic_batching]") => {}
            Some(ours) => {
                let line = match value {
                    Some(value) => format!("{ours} = {value}"),
                    None => ours.to_owned(),
                };
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            None if KNOWN_FROM_THE_MODEL.contains(&top) || key.contains('.') => {}
            None if top == "instance_group" || without.contains(&top) || !is_name(top) => {}
            None => without.push(top),
        }
    }
    without.truncate(MOST_NAMED);
    let lines = (!lines.is_empty()).then(|| format!("say in config.toml {}", lines.join(", ")));
    let without = (!without.is_empty()).then(|| format!("nothing corresponds to {}", without.join(", ")));
    let parts: Vec<String> = lines.into_iter().chain(without).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Returns whether a field may have this name.
fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Reads the fields at the top level and one level below (`dynamic_batching.preferred_batch_size`), each with its
/// number, text or list, if it has one. In a malformed file, it returns whatever looks like a field, since only advice
/// depends on it.
fn fields(text: &str) -> Fields {
    let mut fields = Fields::new();
    message(&mut tokens(text).into_iter().peekable(), None, 0, &mut fields);
    fields
}

type Fields = Vec<(String, Option<String>)>;
type Tokens<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

/// Reads the fields of a message up to its end. Fields of nested messages are kept one level below the top only.
fn message(tokens: &mut Tokens<'_>, within: Option<&str>, depth: usize, fields: &mut Fields) {
    if depth > DEEPEST {
        return;
    }
    while let Some(token) = tokens.next() {
        let name = match token {
            "}" => return,
            "{" | "[" | "]" | ":" | "," | ";" => continue,
            name => name,
        };
        tokens.next_if_eq(&":");
        let value = match tokens.peek() {
            Some(&"{") => {
                tokens.next();
                message(tokens, Some(name), depth + 1, fields);
                None
            }
            Some(&"[") => {
                tokens.next();
                list(tokens, name, depth, fields)
            }
            Some(&("}" | "]" | ":" | "," | ";")) | None => None,
            Some(_) => tokens.next().map(str::to_owned),
        };
        match within {
            None => fields.push((name.to_owned(), value)),
            Some(within) if depth == 1 => fields.push((format!("{within}.{name}"), value)),
            Some(_) => {}
        }
    }
}

/// Reads a list up to its end: its values, or the fields of its messages.
fn list(tokens: &mut Tokens<'_>, name: &str, depth: usize, fields: &mut Fields) -> Option<String> {
    let mut values = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            "]" => break,
            "{" => message(tokens, Some(name), depth + 1, fields),
            "," | ";" | ":" | "}" | "[" => {}
            value => values.push(value),
        }
    }
    (!values.is_empty()).then(|| format!("[{}]", values.join(", ")))
}

/// Splits the text into words, quoted texts and punctuation, without comments.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_end = |c: char| c.is_whitespace() || "{}[]:,;#\"'".contains(c);
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            c if is_end(c) => c.len_utf8(),
            _ => rest.find(is_end).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        if first != '#' && !first.is_whitespace() {
            tokens.push(token);
        }
        rest = after;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_with_a_counterpart_are_named_with_it() {
        let text = r#"
            name: "resnet"  # as the folder
            platform: "onnxruntime_onnx"
            max_batch_size : 8
            input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] } ]
            output [ { name: "y", data_type: TYPE_FP32, dims: [ 1000 ], label_filename: "labels.txt" } ]
            dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }
            instance_group [ { count: 2 kind: KIND_CPU }, { count: 1 kind: KIND_GPU gpus: [ 0 ] } ]
            version_policy: { latest { num_versions: 2 } }
            default_model_filename: "encoder.onnx"
            response_cache { enable: true }
            optimization { execution_accelerators { gpu_execution_accelerator : [ { name : "tensorrt" } ] } }
        "#;
        assert_eq!(
            advice(text).unwrap(),
            "say in config.toml max_batch_size = 8, [dynamic_batching] preferred_batch_size = [4, 8], \
             [dynamic_batching] max_queue_delay_microseconds = 100, [instance_group] count = 2, \
             [instance_group] count = 1, version_policy, default_model_filename = \"encoder.onnx\"; \
             nothing corresponds to response_cache, optimization"
        );
        assert_eq!(advice("dynamic_batching { }\nname: \"m\""), None, "as it is here anyway");
        assert_eq!(advice("# max_batch_size: 8\nbackend: 'onnxruntime'"), None);
        assert_eq!(advice("max_batch_size: 0").unwrap(), "say in config.toml max_batch_size = 0");
        assert_eq!(advice(""), None);
    }

    #[test]
    fn malformed_files_are_harmless() {
        for text in
            ["{".repeat(64 << 10), "a[".repeat(32 << 10), "a{".repeat(32 << 10), "\"\u{e4}".to_owned()]
        {
            let _whatever = advice(&text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[a-z_{}\\[\\]:,;#\"' \n\u{e4}]{0,60}") {
            let _whatever = advice(&text);
        }
    }
}
