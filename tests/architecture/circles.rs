//! No two files lean on each other, and no more of them in a circle.

use std::collections::BTreeSet;

use super::source::SOURCES;

/// The file that a name leads to, by the longest path of modules that is one.
fn file_of<'a>(files: &BTreeSet<&'a [String]>, name: &[&str]) -> Option<&'a [String]> {
    let leads_to = |file: &&&[String]| {
        file.len() <= name.len() && file.iter().zip(name).all(|(part, named)| part == named)
    };
    let found = files.iter().filter(leads_to);
    found.max_by_key(|file| file.len()).copied()
}

#[test]
fn no_files_lean_on_each_other() {
    let files: BTreeSet<&[String]> = SOURCES.iter().map(|source| &*source.module).collect();
    let mut arrows = BTreeSet::new();
    for source in SOURCES.iter() {
        let from = &*source.module;
        for name in &source.names {
            // A room and what is in it hold together anyway.
            let to = file_of(&files, &name.own());
            let to = to.filter(|to| !to.starts_with(from) && !from.starts_with(to));
            arrows.extend(to.map(|to| (from, to)));
        }
    }
    assert!(arrows.len() > 300, "where are the arrows?");
    loop {
        let count = arrows.len();
        let naming: BTreeSet<_> = arrows.iter().map(|(from, _)| *from).collect();
        let named: BTreeSet<_> = arrows.iter().map(|(_, to)| *to).collect();
        arrows.retain(|(from, to)| named.contains(from) && naming.contains(to));
        if arrows.len() == count {
            break;
        }
    }
    let circle: Vec<String> = arrows
        .iter()
        .map(|(from, to)| format!("{} names {}", from.join("/"), to.join("/")))
        .collect();
    assert!(circle.is_empty(), "in a circle:\n{}", circle.join("\n"));
}
