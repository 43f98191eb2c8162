//! Shell completions and manual pages of the programs, made from their command lines.

use std::io::{self, Write};

use clap::{Command, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

/// What can be made from a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// Completions for bash.
    Bash,
    /// Completions for Elvish.
    Elvish,
    /// Completions for fish.
    Fish,
    /// Completions for PowerShell.
    #[value(name = "powershell")]
    PowerShell,
    /// Completions for zsh.
    Zsh,
    /// The manual page.
    Man,
}

/// Writes a page about a program.
///
/// # Errors
/// `out` cannot be written to.
pub fn write(command: Command, page: Page, out: &mut impl Write) -> io::Result<()> {
    let shell = match page {
        Page::Bash => Shell::Bash,
        Page::Elvish => Shell::Elvish,
        Page::Fish => Shell::Fish,
        Page::PowerShell => Shell::PowerShell,
        Page::Zsh => Shell::Zsh,
        Page::Man => return out.write_all(manual(command)?.as_bytes()),
    };
    // Written to memory first, since the generators panic if they cannot write.
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    let mut command = command;
    clap_complete::generate(shell, &mut command, name, &mut text);
    out.write_all(&text)
}

/// Makes the manual page. It has a section for each subcommand, so that one page has everything.
fn manual(mut command: Command) -> io::Result<String> {
    command = command.disable_help_subcommand(true);
    command.build();
    let page = |command: &Command| -> io::Result<String> {
        let mut page = Vec::new();
        Man::new(command.clone()).render(&mut page)?;
        String::from_utf8(page).map_err(io::Error::other)
    };
    let mut text = page(&command)?;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let name = format!("{} {}", command.get_name(), subcommand.get_name());
        text += &[".SH ", &name.to_uppercase().replace('-', "\\-"), "\n"].concat();
        let described = page(subcommand)?;
        // Its own sections become sections of its section. Its title and name are left out.
        let sections = described.split("\n.SH ").skip(1).filter(|section| !section.starts_with("NAME"));
        for section in sections.filter(|section| !section.starts_with("VERSION")) {
            text += &[".SS ", section.trim_end(), "\n"].concat();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn command() -> Command {
        let number = Arg::new("number").long("number").help("How many");
        let make = Command::new("make").about("Makes it").arg(number);
        let secret = Command::new("secret").about("Not for everybody").hide(true);
        let place = Arg::new("place").long("place").help("Where it is").long_help("Where it is. Or was.");
        Command::new("a-program").version("1.2.3").about("Does it").arg(place).subcommands([make, secret])
    }

    fn text(page: Page) -> String {
        let mut text = Vec::new();
        write(command(), page, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn completions_of_every_shell_have_the_flags() {
        for page in [Page::Bash, Page::Elvish, Page::Fish, Page::PowerShell, Page::Zsh] {
            let text = text(page);
            for part in ["a-program", "place", "number", "make"] {
                assert!(text.contains(part), "{page:?} has no {part}:\n{text}");
            }
        }
    }

    #[test]
    fn the_manual_page_has_the_program_and_each_subcommand() {
        let text = text(Page::Man);
        assert_eq!(text.matches("\n.TH ").count(), 1, "{text}");
        let sections = |kind: &str| text.lines().filter(|line| line.starts_with(kind)).count();
        for part in ["Does it", "Or was.", "\n.SH A\\-PROGRAM MAKE\n", "Makes it", "\\-\\-number"] {
            assert!(text.contains(part), "no {part}:\n{text}");
        }
        assert!(sections(".SS ") >= 2, "{text}");
        assert!(!text.contains("Not for everybody"), "{text}");
    }
}
