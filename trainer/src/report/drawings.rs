//! The report's section about the user's own drawings: the accuracy for each style.

use std::path::PathBuf;

use maud::{Markup, html};

use super::tables::scrolled;
use super::text::{count, percent, thousands};
use crate::drawings::{DrawingsMetrics, StyleMetrics};

/// The section about the drawings in `folders`, with a table row for each style.
pub(super) fn section(drawings: &DrawingsMetrics, folders: &[PathBuf]) -> Markup {
    let places: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let table = html! {
        table {
            thead {
                tr {
                    th.left scope="col" { "Style" }
                    th scope="col" { "Pictures" }
                    th scope="col" { "Wrong" }
                    th scope="col" { "Not sure" }
                    th scope="col" { "Right" }
                    th aria-hidden="true" {}
                }
            }
            tbody { @for style in &drawings.by_style { (row(style)) } }
        }
    };
    html! {
        section #drawings {
            h2 { "Drawings by style" }
            p {
                (percent(drawings.accuracy, 1)) " of "
                (count(drawings.pictures, "picture", "pictures")) " in " code { (places.join(", ")) }
                " are recognised. They were preprocessed as the server does it. Neither training nor the choice of the "
                "epoch has used them."
            }
            (scrolled("Drawings by style", &table))
        }
    }
}

fn row(style: &StyleMetrics) -> Markup {
    let StyleMetrics { pictures, errors, accuracy, .. } = *style;
    let not_sure = (style.not_sure * pictures as f64).round() as u64;
    html! {
        tr {
            th.left scope="row" { (style.style) }
            td { (thousands(pictures as u64)) }
            td { (thousands(errors as u64)) }
            td { (thousands(not_sure)) }
            td { (percent(accuracy, 1)) }
            td.wide aria-hidden="true" { span.bar style=(format!("--share:{accuracy:.3}")) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_shares_are_of_their_style() {
        let style = |name: &str, pictures: usize, right: usize| StyleMetrics {
            style: name.into(),
            pictures,
            accuracy: right as f64 / pictures as f64,
            errors: pictures - right,
            not_sure: 1.0 / pictures as f64,
        };
        let by_style = vec![style("thin pen", 2_000, 1_950), style("<b>odd</b>", 10, 4)];
        let (pictures, accuracy) = (2_010, 1_954.0 / 2_010.0);
        let drawings =
            DrawingsMetrics { pictures, accuracy, errors: 56, not_sure: 0.001, by_style, unreadable: vec![] };
        let page = section(&drawings, &["a & b".into()]).into_string();
        assert!(
            page.contains("97.5\u{202f}%") && page.contains("40.0\u{202f}%") && page.contains("2,000"),
            "{page}"
        );
        assert!(page.contains("97.2\u{202f}%") && page.contains("2,010 pictures"), "{page}");
        assert!(page.contains("&lt;b&gt;odd") && page.contains("a &amp; b") && !page.contains("<b>odd"));
    }
}
