//! The pages that people read: their links lead somewhere, and the README's program is one that is compiled.
//!
//! What they have as Rust is compiled and run with the documentation of the crate (`book` in `src/lib.rs`).
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a page of the registry finds the files of the package.
const PACKAGE: &str = "https://docs.rs/crate/watchcache/latest/source/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and the pages of the book.
fn pages() -> Vec<PathBuf> {
    let book = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let book = book.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    [root().join("README.md")].into_iter().chain(book).collect()
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What a page links to: inline, by a definition (`[name]: target`), and its pictures.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
        {
            found.push(target.trim().to_owned());
        }
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')] {
            let after = line.split(opening).skip(1);
            found.extend(after.filter_map(|rest| Some(rest.split_once(closing)?.0.to_owned())));
        }
    }
    found
}

/// A heading's anchor, as GitHub and mdBook make it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// The file that a link is to, and its anchor; `None` if it leads elsewhere.
fn resolved(page: &Path, target: &str) -> Option<(PathBuf, String)> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match (path.strip_prefix(PACKAGE), path) {
        (Some(inside), _) => root().join(inside),
        (None, "") => page.to_owned(),
        (None, path) if path.contains(':') => return None,
        (None, path) => page.parent().unwrap().join(path),
    };
    Some((file, anchor.to_owned()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            let Some((file, anchor)) = resolved(&page, &target) else { continue };
            let leads = match anchor.as_str() {
                "" => file.exists(),
                anchor => {
                    fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor))
                }
            };
            if !leads {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "these lead nowhere:\n{}", broken.join("\n"));
}

/// The crate's documentation begins with the README, and its links go to the files of the published package there. A
/// registry resolves those of the README itself by the repository's address.
#[test]
fn the_readmes_links_have_a_place_in_the_documentation_too() {
    let definitions = |text: &str| -> BTreeSet<String> {
        let lines = prose(text).filter(|line| line.starts_with('[') && line.contains("]: "));
        lines.map(str::to_owned).collect()
    };
    let readme = include_str!("../README.md");
    let published = include_str!("../src/readme-links.md").replace(PACKAGE, "");
    assert_eq!(definitions(readme), definitions(&published));
    let inline = prose(readme).flat_map(|line| line.split("](").skip(1));
    let inline: Vec<_> =
        inline.filter(|rest| rest.starts_with("docs/") && !rest.contains(".svg")).collect();
    assert!(inline.is_empty(), "not by a definition: {inline:?}");
}

#[test]
fn every_page_is_in_the_book() {
    let summary = root().join("docs/SUMMARY.md");
    let listed: BTreeSet<_> = targets(&fs::read_to_string(&summary).unwrap())
        .iter()
        .map(|target| root().join("docs").join(target))
        .collect();
    let missing: Vec<_> = pages()
        .into_iter()
        .filter(|page| page.starts_with(root().join("docs")) && *page != summary)
        .filter(|page| !listed.contains(page))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// It is marked as none to compile, since the README belongs to the crate without features, too.
#[test]
fn the_readmes_program_is_an_example() {
    let program = include_str!("../examples/mirror.rs");
    assert!(include_str!("../README.md").contains(&format!("```rust,ignore\n{program}```")));
}

#[test]
fn links_and_anchors_are_found() {
    let text =
        "# One `two`, 3\n[a](b.md#c) and [d](e)\n```\n[f](g)\n```\n[h]: i\n<img src=\"j\">\n";
    assert_eq!(targets(text), ["b.md#c", "e", "i", "j"]);
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["one-two-3"]);
}
