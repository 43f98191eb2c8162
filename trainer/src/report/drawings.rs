//! Accuracy on drawings that are not from the data set, by the style that they are drawn in.

use maud::{Markup, html};

use super::text::{count, percent, thousands};

/// Results on a folder of labelled pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawings {
    /// Where the pictures are.
    pub place: String,
    /// A row of the table for each style, in the order in which they are shown.
    pub by_style: Vec<Style>,
}

/// Results on the drawings of one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// What it is called, such as "thin pen".
    pub name: String,
    /// Number of drawings.
    pub drawings: usize,
    /// How many of them are read right.
    pub right: usize,
    /// How many answers, right or wrong, are not sure.
    pub not_sure: usize,
}

impl Drawings {
    /// Number of drawings of all styles, and how many are read right.
    pub fn total(&self) -> (usize, usize) {
        let add = |(drawings, right), style: &Style| (drawings + style.drawings, right + style.right);
        self.by_style.iter().fold((0, 0), add)
    }

    pub(super) fn section(&self) -> Markup {
        let (drawings, right) = self.total();
        html! {
            section #drawings {
                h2 { "Drawings by style" }
                p {
                    (percent(right as f64 / drawings as f64, 1)) " of "
                    (count(drawings, "picture", "pictures")) " in " code { (self.place) }
                    " are read right. They went through the server's own preprocessing and are no part of the "
                    "data that the network was trained on or chosen by."
                }
                div.scroll role="region" aria-label="Drawings by style" tabindex="0" {
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
                        tbody { @for style in &self.by_style { (style.row()) } }
                    }
                }
            }
        }
    }
}

impl Style {
    fn row(&self) -> Markup {
        let share = self.right as f64 / self.drawings.max(1) as f64;
        html! {
            tr {
                th.left scope="row" { (self.name) }
                td { (thousands(self.drawings as u64)) }
                td { (thousands((self.drawings - self.right) as u64)) }
                td { (thousands(self.not_sure as u64)) }
                td { (percent(share, 1)) }
                td.wide aria-hidden="true" { span.bar style=(format!("--share:{share:.3}")) {} }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_shares_are_of_their_style() {
        let style = |name: &str, drawings, right| Style { name: name.into(), drawings, right, not_sure: 1 };
        let by_style = vec![style("thin pen", 2_000, 1_950), style("<b>odd</b>", 10, 4)];
        let page = Drawings { place: "a & b".into(), by_style }.section().into_string();
        assert!(
            page.contains("97.5\u{202f}%") && page.contains("40.0\u{202f}%") && page.contains("2,000"),
            "{page}"
        );
        assert!(page.contains("97.2\u{202f}%") && page.contains("2,010 pictures"), "{page}");
        assert!(page.contains("&lt;b&gt;odd") && page.contains("a &amp; b") && !page.contains("<b>odd"));
    }
}
