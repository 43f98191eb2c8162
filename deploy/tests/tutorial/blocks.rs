//! Blocks of commands in Markdown.

use std::{
    fs,
    path::{Path, PathBuf},
};

use deploy_tests::programs::root;

/// The tutorial in English, and in Traditional Chinese.
pub(crate) const ENGLISH: &str = "docs/tutorial";
pub(crate) const CHINESE: &str = "docs/zh-TW/tutorial";

/// Text between two fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Of the fence, from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What stands behind a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Run,
    Fails,
    Cluster,
    ByHand,
    Output,
    /// Part of a file.
    File,
}

impl Kind {
    fn of(fence: &str, place: &str) -> Self {
        match fence {
            "sh" => Self::Run,
            r#"sh title="fails""# => Self::Fails,
            r#"sh title="cluster""# => Self::Cluster,
            r#"sh title="by hand""# => Self::ByHand,
            "text" => Self::Output,
            "yaml" | "python" | "json" => Self::File,
            _ => panic!("{place}: a fence of the kind `{fence}`: see deploy/tests/tutorial/main.rs"),
        }
    }

    pub(crate) fn is_shell(self) -> bool {
        matches!(self, Self::Run | Self::Fails | Self::Cluster | Self::ByHand)
    }

    pub(crate) fn is_run(self) -> bool {
        matches!(self, Self::Run | Self::Fails)
    }
}

/// The pages of a folder, by name.
pub(crate) fn pages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

pub(crate) fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The blocks of a page, in their order.
pub(crate) fn blocks(page: &Path) -> Vec<Block> {
    parse(&read(page), &page.display().to_string())
}

fn parse(markdown: &str, name: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line_number = number + 1;
        let place = format!("{name}:{line_number}");
        assert!(
            !line.trim_start().starts_with("```") || line.starts_with("```"),
            "{place}: an indented fence, which is passed over here: begin it at the margin"
        );
        let Some(fence) = line.strip_prefix("```") else { continue };
        let mut text = String::new();
        loop {
            let (_, line) = lines.next().unwrap_or_else(|| panic!("{place}: a block without an end"));
            if line == "```" {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        blocks.push(Block { line: line_number, kind: Kind::of(fence, &place), text });
    }
    blocks
}

/// Commands without their comments, which each language has in its own words.
pub(crate) fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let trimmed = line.trim_start();
        if trimmed.starts_with('#') {
            return String::new();
        }
        line.split(" # ").next().unwrap_or_default().trim_end().to_owned()
    };
    text.lines().map(code).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn blocks_are_found_with_their_kinds_and_lines() {
    let page =
        "# A\n\n```sh\necho 1 # one\n```\ntext\n```sh title=\"cluster\"\nkubectl\n```\n```text\n1\n```\n";
    let found = parse(page, "page");
    let kinds: Vec<(usize, Kind)> = found.iter().map(|block| (block.line, block.kind)).collect();
    assert_eq!(kinds, [(3, Kind::Run), (7, Kind::Cluster), (10, Kind::Output)]);
    assert_eq!(found[0].text, "echo 1 # one\n");
    assert_eq!(without_comments(&found[0].text), "echo 1");
    assert_eq!(without_comments("# word\n\na '#' # b\n"), "a '#'");
}
