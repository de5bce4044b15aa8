//! Which source file imports which: reads `use` declarations and paths in code, and follows
//! re-exports to the file that defines a name. Test modules are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A crate's source as modules by their path, such as `cutpoint::device::state`.
#[derive(Default)]
pub(crate) struct Sources {
    modules: BTreeMap<String, Module>,
    /// Every file, with all paths that it names: `std::fs::read`.
    pub(crate) files: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// A module, as far as imports are concerned.
#[derive(Default)]
struct Module {
    file: PathBuf,
    imports: Vec<Import>,
    /// Names of the items that it defines.
    items: BTreeSet<String>,
    /// Paths in its code, other than in `use` declarations.
    paths: Vec<Vec<String>>,
}

/// One leaf of a `use` declaration.
#[derive(Clone, Debug, PartialEq)]
struct Import {
    /// The name that it introduces; `*` for all names of a module.
    name: String,
    path: Vec<String>,
    /// Whether others see the name here.
    is_shown: bool,
}

/// Where a path leads.
struct Target {
    module: String,
    /// Whether it names the module itself, not an item in it.
    is_module: bool,
}

/// A file that imports another, by the path that says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) by: String,
}

impl Sources {
    /// Adds a crate, with `lib.rs` or `main.rs` as its root, or both.
    pub(crate) fn add_crate(&mut self, name: &str, src: &Path) {
        for (root, module) in [("lib.rs", name.to_owned()), ("main.rs", format!("{name}(main)"))] {
            let file = src.join(root);
            if let Ok(text) = fs::read_to_string(&file) {
                self.add_file(&module, &file, src, &text);
            }
        }
    }

    /// Adds a module from its text, and the modules that it declares from the folder of its children.
    fn add_file(&mut self, module: &str, file: &Path, folder: &Path, text: &str) {
        let tokens = without_tests(&tokens(text));
        self.add_module(module, file, folder, &tokens);
    }

    fn add_module(&mut self, module: &str, file: &Path, folder: &Path, tokens: &[String]) {
        let parsed = Parsed::of(tokens);
        let found = Module {
            file: file.to_path_buf(),
            imports: parsed.imports,
            items: parsed.items,
            paths: parsed.paths,
        };
        let named = self.files.entry(file.to_path_buf()).or_default();
        let imported = found.imports.iter().map(|import| &import.path);
        named.extend(imported.chain(&found.paths).map(|path| path.join("::")));
        self.modules.insert(module.to_owned(), found);
        for (name, inner) in &parsed.inline {
            self.add_module(&format!("{module}::{name}"), file, &folder.join(name), inner);
        }
        for name in &parsed.children {
            let (flat, nested) =
                (folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs"));
            let child = if flat.exists() { flat } else { nested };
            if let Ok(text) = fs::read_to_string(&child) {
                self.add_file(&format!("{module}::{name}"), &child, &folder.join(name), &text);
            }
        }
    }

    /// Every import of one file by another, once for each pair.
    pub(crate) fn arrows(&self) -> Vec<Arrow> {
        let mut found = BTreeMap::new();
        for (name, module) in &self.modules {
            // A `use` of a module says little: what is used of it is named in the code.
            let imported = module.imports.iter().map(|i| (&i.path, i.name == "*", i.is_shown));
            let inline = module.paths.iter().map(|path| (path, true, false));
            for (path, is_used, is_shown) in imported.chain(inline) {
                let Some(target) = self.resolve(name, path, 0) else { continue };
                let to = &self.modules[&target.module].file;
                // A folder's head may show what is in the folder.
                let is_head = is_shown && target.module.starts_with(&format!("{name}::"));
                if (target.is_module && !is_used) || is_head || *to == module.file {
                    continue;
                }
                let arrow =
                    Arrow { from: module.file.clone(), to: to.clone(), by: path.join("::") };
                found.entry((module.file.clone(), to.clone())).or_insert(arrow);
            }
        }
        found.into_values().collect()
    }

    /// Where a path in a module leads, if into one of the crates.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        if depth > 32 {
            return None;
        }
        match first.as_str() {
            "crate" => self.walk(from.split("::").next()?, rest, depth),
            "self" => self.walk(from, rest, depth),
            "super" => {
                let mut parent = from.rsplit_once("::")?.0;
                let supers = rest.iter().take_while(|segment| *segment == "super").count();
                for _ in 0..supers {
                    parent = parent.rsplit_once("::")?.0;
                }
                self.walk(parent, &rest[supers..], depth)
            }
            _ if self.knows(from, first) => self.walk(from, path, depth),
            name if self.modules.contains_key(name) => self.walk(name, rest, depth),
            _ => None,
        }
    }

    /// Whether a module has a name without looking at what it imports all of.
    fn knows(&self, module: &str, name: &str) -> bool {
        let known = &self.modules[module];
        self.modules.contains_key(&format!("{module}::{name}"))
            || known.items.contains(name)
            || known.imports.iter().any(|import| import.name == name && import.path[0] != name)
    }

    /// Where a path leads that begins in a module.
    fn walk(&self, module: &str, path: &[String], depth: usize) -> Option<Target> {
        let known = self.modules.get(module)?;
        let Some((name, rest)) = path.split_first() else {
            return Some(Target { module: module.to_owned(), is_module: true });
        };
        let child = format!("{module}::{name}");
        if self.modules.contains_key(&child) {
            return self.walk(&child, rest, depth);
        }
        let here = Target { module: module.to_owned(), is_module: false };
        if known.items.contains(name) {
            return Some(here);
        }
        if let Some(import) = known.imports.iter().find(|import| import.name == *name) {
            let target = self.resolve(module, &import.path, depth + 1)?;
            return if target.is_module {
                self.walk(&target.module, rest, depth)
            } else {
                Some(target)
            };
        }
        for import in known.imports.iter().filter(|import| import.name == "*") {
            let target = self.resolve(module, &import.path, depth + 1);
            let Some(target) = target.filter(|target| target.is_module) else { continue };
            if self.knows(&target.module, name) {
                return self.walk(&target.module, path, depth + 1);
            }
        }
        Some(here)
    }
}

/// What a module's tokens say.
#[derive(Default)]
struct Parsed {
    imports: Vec<Import>,
    items: BTreeSet<String>,
    paths: Vec<Vec<String>>,
    /// Modules in files of their own.
    children: Vec<String>,
    /// Modules in this file.
    inline: Vec<(String, Vec<String>)>,
}

impl Parsed {
    fn of(tokens: &[String]) -> Parsed {
        let mut parsed = Parsed::default();
        let at = |i: usize| tokens.get(i).map_or("", String::as_str);
        let (mut i, mut depth) = (0, 0);
        while i < tokens.len() {
            match at(i) {
                "{" => depth += 1,
                "}" => depth -= 1,
                // `impl Trait + use<'a>` imports nothing.
                "use" if at(i + 1) != "<" => {
                    let end = i + tokens[i..].iter().position(|token| token == ";").unwrap_or(0);
                    let first = parsed.imports.len();
                    read_use_tree(&tokens[i + 1..end], &[], &mut parsed.imports);
                    let is_shown = i > 0 && ["pub", ")"].contains(&at(i - 1));
                    parsed.imports[first..].iter_mut().for_each(|i| i.is_shown = is_shown);
                    i = end;
                }
                "mod" if at(i + 2) == ";" => {
                    parsed.children.push(at(i + 1).to_owned());
                    i += 2;
                }
                "mod" if at(i + 2) == "{" => {
                    let end = closing(tokens, i + 2);
                    parsed.inline.push((at(i + 1).to_owned(), tokens[i + 3..end].to_vec()));
                    i = end;
                }
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static"
                    if depth == 0 && is_name(at(i + 1)) =>
                {
                    parsed.items.insert(at(i + 1).to_owned());
                }
                "macro_rules" => drop(parsed.items.insert(at(i + 2).to_owned())),
                name if is_name(name) && at(i + 1) == "::" => {
                    let is_inside = i > 0 && ["::", "."].contains(&at(i - 1));
                    let mut path = vec![name.to_owned()];
                    while at(i + 1) == "::" && is_name(at(i + 2)) {
                        path.push(at(i + 2).to_owned());
                        i += 2;
                    }
                    if !is_inside {
                        parsed.paths.push(path);
                    }
                }
                _ => {}
            }
            i += 1;
        }
        parsed
    }
}

/// Reads what follows `use`, without the semicolon, below the path of the groups around it.
fn read_use_tree(tokens: &[String], above: &[String], imports: &mut Vec<Import>) {
    let mut path = above.to_vec();
    let mut rest = tokens;
    loop {
        match rest {
            [first, ..] if first == "::" => rest = &rest[1..],
            [first, ..] if first == "{" => {
                let inner = &rest[1..closing(rest, 0)];
                for part in split_at_commas(inner) {
                    read_use_tree(part, &path, imports);
                }
                return;
            }
            [first, ..] if first == "*" => {
                imports.push(Import { name: "*".into(), path, is_shown: false });
                return;
            }
            [word, name, ..] if word == "as" => {
                imports.push(Import { name: name.clone(), path, is_shown: false });
                return;
            }
            [first, after @ ..] => {
                // `use a::{self}` is `use a`.
                if first != "self" || path.is_empty() {
                    path.push(first.clone());
                }
                rest = after;
            }
            [] => {
                let Some(name) = path.last().cloned() else { return };
                imports.push(Import { name, path, is_shown: false });
                return;
            }
        }
    }
}

/// The parts between commas that are in no inner braces.
fn split_at_commas(tokens: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let is_end = |token: &String| {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token == ","
    };
    tokens.split(is_end).filter(|part| !part.is_empty()).collect()
}

/// Where the bracket that opens at `open` closes.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The tokens without the items under `#[cfg(test)]`; without all of them under `#![cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let open = match (tokens[i].as_str(), tokens.get(i + 1).map(String::as_str)) {
            ("#", Some("[")) => i + 1,
            ("#", Some("!")) => i + 2,
            _ => {
                kept.push(tokens[i].clone());
                i += 1;
                continue;
            }
        };
        let end = closing(tokens, open);
        let attribute = &tokens[open + 1..end.min(tokens.len())];
        let is_test = attribute.first().is_some_and(|word| word == "cfg")
            && attribute.iter().any(|word| word == "test")
            && attribute.iter().all(|word| word != "not");
        match (is_test, open == i + 1) {
            (true, true) => i = item_end(tokens, end + 1),
            (true, false) => return Vec::new(),
            (false, _) => {
                kept.extend_from_slice(&tokens[i..(end + 1).min(tokens.len())]);
                i = end + 1;
            }
        }
    }
    kept
}

/// The place behind the item, field, arm or statement that begins at `i`.
fn item_end(tokens: &[String], mut i: usize) -> usize {
    let ends_at_semicolon = ["use", "const", "static", "type", "let"];
    let head =
        tokens[i..].iter().take(8).position(|token| ends_at_semicolon.contains(&token.as_str()));
    let brace = tokens[i..].iter().position(|token| token == "{");
    let needs_semicolon = head.is_some_and(|head| brace.is_none_or(|brace| head < brace))
        && tokens[i..].iter().take(8).all(|token| token != "fn");
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" | "[" | "(" => {
                let end = closing(tokens, i);
                if tokens[i] == "{" && !needs_semicolon {
                    return end + 1;
                }
                i = end;
            }
            ";" => return i + 1,
            "}" => return i,
            _ => {}
        }
        i += 1;
    }
    i
}

/// Names, `::` and single signs; comments are left out, and a literal is one token that is not a name.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            found.push("\"".to_owned());
            length
        } else if first.is_alphanumeric() || first == '_' {
            let length =
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("r#") {
            2
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut i = 0;
    while i < text.len() {
        let here = &text.as_bytes()[i..];
        if here.starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    text.len()
}

/// The length of a string or character literal that the text begins with, if it does.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    if prefix <= 1 && body.starts_with('r') {
        let hashes = body[1..].bytes().take_while(|&byte| byte == b'#').count();
        if body[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = 2 + hashes;
            let length = body[start..].find(&end).map_or(body.len(), |at| start + at + end.len());
            return Some(prefix + length);
        }
    }
    let quote = body.chars().next().filter(|c| prefix <= 1 && ['"', '\''].contains(c))?;
    let mut inside = body.char_indices().skip(1);
    let (_, first) = inside.next()?;
    // A lifetime has no second quote.
    if quote == '\'' && first != '\\' && inside.clone().next().is_none_or(|(_, c)| c != '\'') {
        return None;
    }
    let mut is_escaped = first == '\\';
    if first == quote {
        return Some(prefix + 2);
    }
    for (i, character) in inside {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == quote {
            return Some(prefix + i + 1);
        }
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        let parsed = Parsed::of(&without_tests(&tokens(text)));
        let shown = |import: &Import| format!("{} = {}", import.name, import.path.join("::"));
        parsed.imports.iter().map(shown).collect()
    }

    fn paths(text: &str) -> Vec<String> {
        let parsed = Parsed::of(&without_tests(&tokens(text)));
        parsed.paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn use_declarations_are_read_with_nested_groups_over_several_lines() {
        let text = "pub use crate::a::{\n    self, // comment, with a comma\n    b::{C as D, e::*},\n    F,\n};\n\
                    use super::super::g;\npub(crate) use self::h::I;\nuse ::std::fmt;";
        let expected = [
            "a = crate::a",
            "D = crate::a::b::C",
            "* = crate::a::b::e",
            "F = crate::a::F",
            "g = super::super::g",
            "I = self::h::I",
            "fmt = std::fmt",
        ];
        assert_eq!(imports(text), expected);
    }

    #[test]
    fn precise_capturing_is_not_an_import() {
        assert!(imports("fn f<'a>(x: &'a T) -> impl Trait + use<'a, T> { x }").is_empty());
    }

    #[test]
    fn inline_paths_are_read_in_code_and_attributes() {
        let text = "fn f(x: &'a crate::a::B) -> super::c::D {\n\
                    #[serde(with = \"crate::not_here\")] let y = <crate::e::F as g::H<i::J>>::k();\n\
                    $crate::l::m!(x.n::<o::P>()) }";
        let expected =
            ["crate::a::B", "super::c::D", "crate::e::F", "g::H", "i::J", "crate::l::m", "o::P"];
        assert_eq!(paths(text), expected);
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        let text = "// use a::b;\n/* use c::d; /* nested */ use e::f; */ /// use g::h;\n\
                    const X: &str = \"use i::j; \\\" k::l\"; const Y: &str = r#\"use m::n; \" o::p\"#;\n\
                    const Z: [char; 3] = ['\"', '\\'', '{']; const B: &[u8] = b\"q::r\"; use s::t;";
        assert_eq!(imports(text), ["t = s::t"]);
        assert!(paths(text).is_empty(), "{:?}", paths(text));
    }

    #[test]
    fn items_compiled_only_for_tests_are_left_out() {
        let text = "#[cfg(test)] use a::b;\n#[cfg(all(test, unix))]\n#[path = \"x\"]\nmod tests { use c::d; }\n\
                    #[cfg(test)] fn f() { e::g() }\n#[cfg(test)] const X: [u8; 1] = { [h::i; 1] };\n\
                    struct S { #[cfg(not(test))] j: k::l }\nuse m::n;";
        assert_eq!(imports(text), ["n = m::n"]);
        assert_eq!(paths(text), ["k::l"]);
        assert!(imports("#![cfg(test)]\nuse a::b;").is_empty());
    }

    /// A crate with a re-export, a renamed one, and one of everything.
    fn sources() -> Sources {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write(
            "lib.rs",
            "mod a; pub mod b; mod d; mod e; mod g; pub use b::c::*; pub use d::Deep as Shallow; use d::X;",
        );
        write("a.rs", "use crate::{Shallow, b}; fn f() -> b::C { crate::Other::new(); x::y() }");
        write("b/mod.rs", "mod c; pub use self::c::C; pub(crate) fn helper() {}");
        write(
            "b/c.rs",
            "use super::helper; pub struct C; pub struct Other; mod inner { use super::super::helper; }",
        );
        write(
            "d.rs",
            "pub enum Deep {} #[cfg(test)] mod tests { use crate::a; fn f() { a::f() } }",
        );
        write("e.rs", "use a_crate::b; pub use super::d::Deep::{self, *};");
        write("g.rs", "pub(crate) use super::b::*;");
        let mut sources = Sources::default();
        sources.add_crate("one", folder.path());
        sources
    }

    #[test]
    fn names_lead_to_the_files_that_define_them() {
        let shown = |path: &Path| {
            let folders: Vec<_> =
                path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
            if folders[1] == "b" { format!("b/{}", folders[0]) } else { folders[0].to_string() }
        };
        let arrows = sources().arrows();
        let found: Vec<String> = (arrows.iter())
            .map(|arrow| format!("{} -> {} by {}", shown(&arrow.from), shown(&arrow.to), arrow.by))
            .collect();
        let expected = [
            "a.rs -> b/c.rs by b::C",
            "a.rs -> d.rs by crate::Shallow",
            "b/c.rs -> b/mod.rs by super::helper",
            "e.rs -> d.rs by super::d::Deep",
            "g.rs -> b/mod.rs by super::b",
            "lib.rs -> d.rs by d::X",
        ];
        assert_eq!(found, expected);
    }
}
