//! `report.html` is valid HTML, needs no other file, and has the numbers of `metrics.json`.

use std::fs;

use decima_trainer::metrics::Metrics;

use crate::support::trained;

/// Elements without an end tag.
const VOID: [&str; 3] = ["img", "meta", "br"];

/// A start tag, and the text between it and the next tag.
struct Element<'a> {
    name: &'a str,
    attributes: &'a str,
    text: &'a str,
}

impl Element<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.attributes.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    }
}

/// All elements of a page, in order. Fails if a tag is not closed or not nested properly.
fn elements(page: &str) -> Vec<Element<'_>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for part in page.split('<').skip(1).filter(|part| !part.starts_with("!DOCTYPE")) {
        let (tag, text) = part.split_once('>').expect("a tag has an end");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> is out of place");
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        if !closed && !VOID.contains(&name) {
            open.push(name);
        }
        found.push(Element { name, attributes, text: text.trim() });
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    found
}

/// The report without its style sheet, and the metrics.
fn report() -> (String, Metrics) {
    let out = trained().join("out");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let (head, rest) = page.split_once("<style>").unwrap();
    let (style, body) = rest.split_once("</style>").unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"), "the style sheet asks for more files");
    (format!("{head}{body}"), Metrics::load(&out.join("metrics.json")).unwrap())
}

/// The elements of one section.
fn section<'a>(page: &'a str, id: &str) -> Vec<Element<'a>> {
    let start = page.find(&format!("<section id=\"{id}\"")).expect("the page has the section");
    let end = start + page[start..].find("</section>").unwrap() + "</section>".len();
    elements(&page[start..end])
}

fn texts<'a>(elements: &[Element<'a>], name: &str) -> Vec<&'a str> {
    elements.iter().filter(|element| element.name == name).map(|element| element.text).collect()
}

#[test]
fn the_page_needs_nothing_else() {
    let (page, _) = report();
    for element in elements(&page) {
        assert!(!["script", "link", "iframe", "object", "base"].contains(&element.name), "{}", element.name);
        assert!(!element.attributes.contains("http://") || element.name == "svg", "{}", element.attributes);
        assert!(!element.attributes.contains("https://"), "{}", element.attributes);
        if let Some(source) = element.attribute("src") {
            assert!(source.starts_with("data:image/png;base64,"), "{source}");
        }
    }
}

#[test]
fn the_page_is_accessible_to_screen_readers() {
    let (page, _) = report();
    let all = elements(&page);
    assert_eq!(all.iter().find(|element| element.name == "html").unwrap().attribute("lang"), Some("en"));
    assert_eq!(texts(&all, "h1").len(), 1);
    for element in &all {
        match element.name {
            "img" => {
                assert!(
                    element.attribute("alt").is_some_and(|alt| !alt.is_empty()),
                    "{}",
                    element.attributes
                );
            }
            "svg" => {
                assert!(
                    element.attribute("aria-label").is_some() && element.attribute("role") == Some("img")
                );
            }
            "th" => {
                let named =
                    element.attribute("scope").is_some() || element.attributes.contains("aria-hidden");
                assert!(named, "a header of nothing: {}", element.text);
            }
            _ => {}
        }
    }
    let mut ids: Vec<&str> =
        all.iter().filter_map(|element| element.attribute(" id").or(element.attribute("id"))).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id twice");
}

#[test]
fn the_numbers_are_those_of_the_metrics() {
    let (page, metrics) = report();
    let seed = metrics.history.recipe.seed;
    let all = elements(&page);
    assert!(texts(&all, "title")[0].ends_with(&format!(", seed {seed}")), "{:?}", texts(&all, "title"));
    assert!(texts(&all, "p")[0].starts_with("Decima "));
    let accuracy = format!("{:.2}\u{202f}%", 100.0 * metrics.test.accuracy);
    let right = metrics.dataset.test_pictures - metrics.test.errors;
    let summary =
        format!("recognises {right} of {} test pictures: {accuracy}.", metrics.dataset.test_pictures);
    assert!(page.contains(&summary), "no '{summary}'");
    let shown: Vec<u32> =
        texts(&section(&page, "confusion"), "td").iter().map(|cell| cell.parse().unwrap()).collect();
    assert_eq!(shown, metrics.test.confusion.iter().copied().collect::<Vec<u32>>());
    let digits = texts(&section(&page, "digits"), "td").len();
    assert_eq!(digits, 10 * 5);
    for (digit, row) in texts(&section(&page, "digits"), "td").chunks(5).enumerate() {
        let of = metrics.test.confusion.row(digit).sum();
        let wrong = of - metrics.test.confusion[[digit, digit]];
        assert_eq!((row[0], row[1]), (of.to_string().as_str(), wrong.to_string().as_str()));
        assert_eq!(row[3], format!("{:.2}\u{202f}%", 100.0 * f64::from(of - wrong) / f64::from(of)));
    }
    let epochs =
        section(&page, "learning").iter().filter(|element| element.attribute("scope") == Some("row")).count();
    assert_eq!(epochs, metrics.history.epochs.len());
    assert!(texts(&section(&page, "settings"), "dd").contains(&"70,122"));
}

#[test]
fn every_mistake_has_its_picture_label_and_answer() {
    let (page, metrics) = report();
    let mistakes = section(&page, "mistakes");
    let pictures: Vec<_> = mistakes.iter().filter(|element| element.name == "img").collect();
    assert_eq!(pictures.len(), metrics.test.errors.min(60));
    for picture in pictures {
        let alt = picture.attribute("alt").unwrap();
        let (_, said) = alt.split_once(": a ").unwrap();
        let (truth, read) = said.split_once(" that was read as ").unwrap();
        let place = [truth.parse::<usize>().unwrap(), read.parse().unwrap()];
        assert!(metrics.test.confusion[place] > 0, "{alt}");
    }
}

#[test]
fn curves_calibration_and_data_are_there() {
    let (page, metrics) = report();
    let charts = |id: &str| section(&page, id).iter().filter(|element| element.name == "svg").count();
    assert_eq!((charts("learning"), charts("calibration")), (2, 1));
    let learning = section(&page, "learning");
    // Two charts of two curves each, with a dot for each epoch.
    let dots = learning.iter().filter(|element| element.name == "circle").count();
    assert_eq!(dots, 4 * metrics.history.epochs.len());
    let axes = texts(&learning, "text");
    for name in ["epoch", "loss (nats)", "accuracy"] {
        assert!(axes.contains(&name), "no axis '{name}' in {axes:?}");
    }
    let calibration = texts(&section(&page, "calibration"), "dd");
    assert_eq!(calibration.len(), 3, "{calibration:?}");
    let data = section(&page, "data");
    assert_eq!(data.iter().filter(|element| element.name == "img").count(), 2 * 10);
    let counted: usize = texts(&data, "td").chunks(4).map(|row| row[0].parse::<usize>().unwrap()).sum();
    assert_eq!(counted, metrics.dataset.train_pictures);
    assert!(!page.contains("id=\"drawings\""), "a section about drawings that nobody read");
}
