//! What the page is made of: files of this repository, embedded as they are. No build step, nothing from
//! elsewhere.
//!
//! # Invariants
//! - A file that is not in the table does not exist; no path is ever joined.
//!
//! On failure: `None`, there is no such file.

/// One file.
pub(crate) struct File {
    path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
    /// Whether it is shown without a session: it says nothing about this host.
    pub(crate) is_public: bool,
}

/// What is shown at `/` without a session: a form for the key.
pub(crate) const DOOR: &str = include_str!("../page/door.html");
/// What is shown when the key was right: it goes on to `/`, so that the browser itself comes from here.
pub(crate) const OPENING: &str = include_str!("../page/opening.html");

pub(crate) const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident $public:literal,)*) => {
        &[$(File {
            path: concat!("/", $path),
            content_type: $kind,
            text: include_str!(concat!("../page/", $path)),
            is_public: $public,
        },)*]
    };
}

const FILES: &[File] = files! {
    "index.html" HTML false,
    "style.css" CSS true,
    "icon.svg" SVG true,
    "app.js" SCRIPT false,
    "ask.js" SCRIPT false,
    "bytes.js" SCRIPT false,
    "chart.js" SCRIPT false,
    "dom.js" SCRIPT false,
    "event.js" SCRIPT false,
    "history.js" SCRIPT false,
    "levels.js" SCRIPT false,
    "live.js" SCRIPT false,
    "losses.js" SCRIPT false,
    "overview.js" SCRIPT false,
    "sent.js" SCRIPT false,
    "timeline.js" SCRIPT false,
    "words.js" SCRIPT false,
};

/// The file of a path.
pub(crate) fn find(path: &str) -> Option<&'static File> {
    let path = if path == "/" { "/index.html" } else { path };
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_no_other() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let names = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name());
        for name in names.map(|name| name.into_string().unwrap()) {
            let is_template = name == "door.html" || name == "opening.html";
            assert_eq!(find(&format!("/{name}")).is_some(), !is_template, "{name}");
        }
        for path in ["/../Cargo.toml", "/style.css/", "//style.css", "/door.html", ""] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    /// What the content security policy would refuse anyway stands in no file.
    #[test]
    fn no_file_writes_markup_or_loads_from_elsewhere() {
        for file in FILES {
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("]
            {
                assert!(!file.text.contains(forbidden), "{}: {forbidden}", file.path);
            }
            let elsewhere = file
                .text
                .split("http")
                .skip(1)
                .filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
            // The names of XML's vocabularies are no places.
            assert!(
                elsewhere.into_iter().all(|rest| rest.starts_with("://www.w3.org/2000/svg")),
                "{}",
                file.path
            );
        }
    }
}
