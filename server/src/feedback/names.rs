//! Which class a label means, and the name of the folder for its pictures.

use std::{borrow::Cow, fmt::Write};

use super::Label;
use crate::error::ServeError;

/// Most labels that an error lists.
const MOST_LISTED: usize = 20;

/// Longest name of a folder, in bytes. File systems accept 255.
const LONGEST_FOLDER: usize = 200;

/// Returns the index of the class that a label means. A name takes precedence over an index.
pub(super) fn class(label: &Label, labels: &[String], model: &str) -> Result<usize, ServeError> {
    if labels.is_empty() {
        return Err(ServeError::invalid(format!(
            "model '{model}' has no labels, so that it cannot be corrected: add labels to its config.toml"
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
        let more = if labels.len() > MOST_LISTED { ", and more" } else { "" };
        let known = labels[..labels.len().min(MOST_LISTED)].join(", ");
        ServeError::invalid(format!("model '{model}' has no label '{shown}': expected one of {known}{more}"))
    })
}

/// Returns the folder of a label: its name, in which each byte with a meaning in paths or URLs is written as `%` and
/// two hexadecimal digits. No two labels share a folder, and no folder leads out of the place for corrections.
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
    let name = if coded.is_empty() || coded.len() > LONGEST_FOLDER {
        Cow::Owned(format!("%class-{class}")) // no encoded label begins like this
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
    fn folders_differ_and_stay_below_their_place() {
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
            assert!(
                !folder.is_empty() && folder.len() <= LONGEST_FOLDER && !folder.starts_with('.'),
                "{folder}"
            );
            assert!(!folder.contains(['/', '\\', '\0', '\n']), "{folder}");
        }
        assert_eq!((folder("7", 7).as_str(), folder("Egyptian cat", 0).as_str()), ("7", "Egyptian cat"));
    }
}
