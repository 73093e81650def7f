//! The source as the rules see it: which names each file uses, with `crate`, `self` and
//! `super` resolved, and without tests, comments and literals.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

/// A file of `src/`.
pub struct Source {
    /// From the root of the repository.
    pub path: String,
    /// The first part of its module path: `scoring` for `src/scoring/model/file.rs`.
    pub room: String,
    /// The module path.
    pub module: Vec<String>,
    pub text: String,
    /// How many lines stand before the tests.
    pub lines: usize,
    pub words: Vec<String>,
    pub names: Vec<Name>,
    /// The names of all crates that the crate depends on.
    pub dependencies: Arc<BTreeSet<String>>,
}

/// A path of modules and items.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    is_own: bool,
    parts: Vec<String>,
}

impl Name {
    /// As it would be written in full.
    pub fn text(&self) -> String {
        let prefix = if self.is_own { "crate::" } else { "" };
        format!("{prefix}{}", self.parts.join("::"))
    }

    /// Whether a part of it is called so.
    pub fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|other| other == part)
    }

    /// The parts of a name of this crate; empty for another.
    pub fn own(&self) -> Vec<&str> {
        self.parts_if(self.is_own)
    }

    /// The parts of a name of another crate, or of something in scope; empty for ours.
    pub fn foreign(&self) -> Vec<&str> {
        self.parts_if(!self.is_own)
    }

    fn parts_if(&self, wanted: bool) -> Vec<&str> {
        let parts = self.parts.iter().filter(|_| wanted);
        parts.map(String::as_str).collect()
    }

    /// The room of a name of this crate.
    pub fn room(&self) -> Option<&str> {
        let first = self.parts.first()?;
        self.is_own.then_some(first.as_str())
    }
}

/// Every file of `src/` that is not a file of tests, in the order of the paths.
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dependencies = Arc::new(dependencies(root));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 50, "where is the source?");
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            Source::new(path, &text, &dependencies)
        })
        .collect()
});

fn collect(directory: &Path, paths: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            collect(&path, paths);
        } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
            paths.push(path);
        }
    }
}

/// Every file within these directories, and what builds them, as `/src/...` from the root of the
/// repository.
pub fn files(directories: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut left: Vec<_> = directories.iter().map(|name| root.join(name)).collect();
    let mut files = vec!["/build.rs".to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.push(format!("/{name}"));
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    files
}

/// The crates that the manifest depends on, as Rust writes them.
fn dependencies(root: &Path) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]");
    let table = lines.skip(1).take_while(|line| !line.starts_with('['));
    let names = table.filter_map(|line| line.split_once(" = "));
    names.map(|(name, _)| name.replace('-', "_")).collect()
}

impl Source {
    /// Reads a file that stands at this path.
    pub fn new(path: &str, text: &str, dependencies: &Arc<BTreeSet<String>>) -> Self {
        // Not at the first attribute for tests: more than tests may follow a `use` that has one.
        let code = text.split("\n#[cfg(test)]\nmod tests {").next();
        let code = code.unwrap_or_default();
        let words = words(code);
        let module = module(path);
        let names = paths(&words)
            .into_iter()
            .map(|parts| resolve(&module, parts));
        Self {
            path: path.to_owned(),
            room: module.first().cloned().unwrap_or_default(),
            text: text.to_owned(),
            lines: code.lines().count(),
            names: names.collect(),
            module: module.clone(),
            words,
            dependencies: Arc::clone(dependencies),
        }
    }
}

/// What the `mod.rs` at this path exports under its own name, each item with the child module that
/// it comes from.
pub fn exported(path: &str) -> BTreeMap<String, String> {
    let facade = SOURCES.iter().find(|source| source.path == path).unwrap();
    let children = facade.names.iter().filter_map(|name| {
        // `pub use child::{Item, ...}` names a module that is in scope.
        let [child, .., item] = name.foreign()[..] else {
            return None;
        };
        Some((item.to_owned(), child.to_owned()))
    });
    children.collect()
}

/// The module path of a file.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = path.split('/').filter(|part| *part != "mod");
    parts.map(str::to_owned).collect()
}

/// The name that a path stands for within a module.
fn resolve(module: &[String], parts: Vec<String>) -> Name {
    let mut base = match parts[0].as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => {
            let is_own = false;
            return Name { is_own, parts };
        }
    };
    let mut rest = Vec::new();
    for part in parts {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(base.pop()),
            _ => rest.push(part),
        }
    }
    base.extend(rest);
    Name {
        is_own: true,
        parts: base,
    }
}

/// Words, `::` and single signs; comments and literals are left out.
fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' || rest.starts_with("b\"") {
            quoted(rest, '"')
        } else if is_character(rest) {
            quoted(rest, '\'')
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_');
            let length = end.unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                words.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    words
}

/// The length of the raw string that the code begins with.
fn raw_string(code: &str) -> Option<usize> {
    let opening = code.strip_prefix('r').or_else(|| code.strip_prefix("br"))?;
    let content = opening.trim_start_matches('#');
    let end = format!("\"{}", &opening[..opening.len() - content.len()]);
    let content = content.strip_prefix('"')?;
    let length = content.find(&end)? + end.len();
    Some(code.len() - content.len() + length)
}

/// Whether the code begins with a character, rather than with a lifetime.
fn is_character(code: &str) -> bool {
    let code = code.strip_prefix('b').unwrap_or(code);
    let mut signs = code.chars();
    signs.next() == Some('\'') && (signs.next() == Some('\\') || signs.next() == Some('\''))
}

/// The length of the literal that the code begins with.
fn quoted(code: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let mut quotes = 0;
    for (position, sign) in code.char_indices() {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            sign if sign == quote => quotes += 1,
            _ => {}
        }
        if quotes == 2 {
            return position + sign.len_utf8();
        }
    }
    code.len()
}

/// Every path of two parts or more, groups taken apart.
fn paths(words: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words.get(at + 1).is_some_and(|next| next == "::") && is_word(&words[at]) {
            branch(words, &mut at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn is_word(word: &str) -> bool {
    word.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
}

/// Reads one path of a tree of them, and all of its branches.
fn branch(words: &[String], at: &mut usize, stem: &[String], found: &mut Vec<Vec<String>>) {
    let mut path = stem.to_vec();
    while let Some(word) = words.get(*at) {
        if word == "{" {
            *at += 1;
            while words.get(*at).is_some_and(|word| word != "}") {
                if is_word(&words[*at]) {
                    branch(words, at, &path, found);
                } else {
                    *at += 1;
                }
                // `as` and the name after it are no path of their own.
                if words.get(*at).is_some_and(|word| word == "as") {
                    *at += 2;
                }
            }
            *at += 1;
            return;
        }
        if !is_word(word) {
            break;
        }
        path.push(word.clone());
        *at += 1;
        if words.get(*at).is_none_or(|next| next != "::") {
            break;
        }
        *at += 1;
    }
    found.push(path);
}
