//! What the pages say, without running it.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use deploy_tests::programs::root;

use crate::blocks::{CHINESE, ENGLISH, Kind, blocks, pages, read, without_comments};

/// All pictures together, in bytes.
const PICTURES: u64 = 300_000;

fn names(folder: &str) -> Vec<String> {
    pages(folder).iter().map(|page| page.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn both_languages_have_the_same_pages_with_the_same_commands() {
    assert_eq!(names(ENGLISH), names(CHINESE));
    let mut compared = 0;
    for (english, chinese) in pages(ENGLISH).iter().zip(pages(CHINESE)) {
        let (ours, theirs) = (blocks(english), blocks(&chinese));
        let place = |at: usize| {
            let line = theirs.get(at).map_or(0, |block| block.line);
            format!("{}:{} and {}:{line}", english.display(), ours[at].line, chinese.display())
        };
        for (at, block) in ours.iter().enumerate() {
            let other = theirs.get(at).unwrap_or_else(|| panic!("{}: no block", place(at)));
            assert_eq!(block.kind, other.kind, "{}", place(at));
            assert_eq!(without_comments(&block.text), without_comments(&other.text), "{}", place(at));
            compared += 1;
        }
        assert_eq!(ours.len(), theirs.len(), "{}", chinese.display());
    }
    assert!(compared > 50, "{compared} blocks");
}

/// What the shell says of commands that it does not run.
fn parsed(commands: &str) -> Result<(), String> {
    let mut shell =
        Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // It only warns of some mistakes, such as a here-document without an end.
    if output.status.success() && said.is_empty() { Ok(()) } else { Err(said) }
}

#[test]
fn every_block_of_commands_is_one_for_the_shell() {
    assert!(parsed("if true; then echo").is_err() && parsed("cat <<END\n").is_err());
    for page in pages(ENGLISH) {
        for block in blocks(&page).iter().filter(|block| block.kind.is_shell()) {
            let said = parsed(&block.text);
            assert!(said.is_ok(), "{}:{}: {said:?}", page.display(), block.line);
        }
    }
}

#[test]
fn files_that_the_pages_name_are_there() {
    let mut named = 0;
    for page in pages(ENGLISH).iter().chain(&pages(CHINESE)) {
        let text = read(page);
        let is_end = |c: char| c.is_whitespace() || "`'\"(),;:|>".contains(c);
        for word in text.split(is_end) {
            let is_path = ["deploy/", "scripts/", "models/digits/"].iter().any(|root| word.starts_with(root));
            if !is_path {
                continue;
            }
            let path = word.trim_end_matches(['.', '。', '，', '、']);
            assert!(root().join(path).exists(), "{}: there is no {path}", page.display());
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

#[test]
fn texts_of_files_are_those_of_the_files() {
    for page in pages(ENGLISH) {
        for block in blocks(&page).iter().filter(|block| block.kind == Kind::File) {
            let place = format!("{}:{}", page.display(), block.line);
            let first = block.text.lines().next().unwrap_or_default();
            let Some(name) = first.strip_prefix("# ") else { panic!("{place}: `# FILE` is its first line") };
            let file = without_comments(&read(&root().join(name)));
            assert!(file.contains(&without_comments(&block.text)), "{place}: {name} says otherwise");
        }
    }
}

#[test]
fn pictures_are_small_and_each_is_shown_with_words_for_those_who_do_not_see_it() {
    let folder = root().join(ENGLISH).join("images");
    let mut size = 0;
    for picture in fs::read_dir(folder).unwrap() {
        let picture = picture.unwrap();
        let name = picture.file_name().to_str().unwrap().to_owned();
        size += picture.metadata().unwrap().len();
        for language in [ENGLISH, CHINESE] {
            let is_shown = pages(language).iter().any(|page| shows(page, &name));
            assert!(is_shown, "{language} shows no {name}");
        }
    }
    assert!(size < PICTURES, "{size} bytes of pictures");
}

/// Whether a page has this picture, with a description.
fn shows(page: &Path, name: &str) -> bool {
    let text = read(page);
    text.split("![").skip(1).any(|rest| {
        let Some((description, rest)) = rest.split_once("](") else { return false };
        let Some((target, _)) = rest.split_once(')') else { return false };
        target.ends_with(&format!("images/{name}"))
            && page.parent().unwrap().join(target).exists()
            && description.chars().count() > 10
    })
}
