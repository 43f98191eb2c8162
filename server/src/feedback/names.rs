//! Which class a label means, and what its folder is called.

use std::{borrow::Cow, fmt::Write};

use super::Label;
use crate::error::ServeError;

/// Most labels that an error names.
const NAMED: usize = 20;

/// Longest name of a folder in bytes: file systems take 255.
const LONGEST: usize = 200;

/// The index of the class that a label means: one by its name goes before one by its index.
pub(super) fn class(label: &Label, labels: &[String], model: &str) -> Result<usize, ServeError> {
    if labels.is_empty() {
        return Err(ServeError::invalid(format!(
            "model '{model}' has no labels, so no answer of it can be corrected: its config.toml must have them"
        )));
    }
    let by_index = |index: u64| usize::try_from(index).ok().filter(|&index| index < labels.len());
    let (found, shown) = match label {
        Label::Name(name) => {
            let by_name = labels.iter().position(|known| known == name);
            let index = name.parse().ok().filter(|index: &u64| index.to_string() == *name);
            (by_name.or_else(|| index.and_then(by_index)), name.chars().take(64).collect())
        }
        Label::Index(index) => (by_index(*index), index.to_string()),
    };
    found.ok_or_else(|| {
        let more = if labels.len() > NAMED { ", and more" } else { "" };
        let known = labels[..labels.len().min(NAMED)].join(", ");
        ServeError::invalid(format!("model '{model}' has no label '{shown}': expected one of {known}{more}"))
    })
}

/// The folder of a label: its name, with every byte that a path or an address would take for something else as `%` and
/// two hexadecimal digits. No two labels have the same folder, and none leads anywhere else.
pub(super) fn folder(label: &str, class: usize) -> String {
    let is_plain = |index: usize, byte: u8| {
        byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (index > 0 && b". ".contains(&byte))
    };
    let coded: String = label.bytes().enumerate().fold(String::new(), |mut coded, (index, byte)| {
        if is_plain(index, byte) {
            coded.push(char::from(byte));
        } else {
            write!(coded, "%{byte:02X}").expect("writing to a string does not fail");
        }
        coded
    });
    let name = if coded.is_empty() || coded.len() > LONGEST {
        Cow::Owned(format!("%class-{class}")) // no coding of a label begins like this
    } else {
        Cow::Borrowed(&coded)
    };
    name.into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_label_is_a_name_or_an_index() {
        let labels = ["cat", "2", "dog"].map(str::to_owned);
        let named = |name: &str| class(&Label::Name(name.into()), &labels, "m");
        assert_eq!((named("cat"), named("0"), named("2"), named("1")), (Ok(0), Ok(0), Ok(1), Ok(1)));
        assert_eq!(class(&Label::Index(2), &labels, "m"), Ok(2));
        for label in ["", "3", "00", "+1", " 1", "-1", "Cat", "../cat", "18446744073709551616"] {
            let error = named(label).unwrap_err();
            assert!(error.message.contains("expected one of cat, 2, dog"), "{error}");
        }
        assert!(class(&Label::Index(3), &labels, "m").is_err());
        let many: Vec<_> = (0..1000).map(|index| format!("class {index}")).collect();
        let error = class(&Label::Name("x".repeat(1000)), &many, "m").unwrap_err();
        assert!(error.message.len() < 500 && error.message.ends_with(", and more"), "{error}");
        assert!(class(&Label::Index(0), &[], "m").unwrap_err().message.contains("config.toml"));
    }

    #[test]
    fn folders_are_different_and_stay_where_they_are() {
        let long = "x".repeat(300);
        let labels = [
            "7",
            "a/b",
            "a%2Fb",
            "..",
            ".",
            "",
            "../../etc",
            "/",
            "a\\b",
            "a\0b",
            "\u{e9}",
            "Egyptian cat",
            " ",
            "%",
            "%class-3",
            "con\n",
            &long,
        ];
        let folders: BTreeSet<_> =
            labels.iter().enumerate().map(|(class, label)| folder(label, class)).collect();
        assert_eq!(folders.len(), labels.len(), "{folders:?}");
        for folder in &folders {
            assert!(!folder.is_empty() && folder.len() <= LONGEST && !folder.starts_with('.'), "{folder}");
            assert!(!folder.contains(['/', '\\', '\0', '\n']), "{folder}");
        }
        assert_eq!((folder("7", 7).as_str(), folder("Egyptian cat", 0).as_str()), ("7", "Egyptian cat"));
    }
}
