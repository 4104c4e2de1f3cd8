//! The modules of a crate and what they import, read from the source as tokens, so that a path counts wherever it stands:
//! in a `use`, in an expression, in a macro's input. What is compiled for tests alone does not count.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use syn::{Attribute, Item, UseTree};

/// A module's path from the crate's root.
type Name = Vec<String>;

/// What a module is.
#[derive(Default)]
struct Module {
    /// The file it stands in, from the folder of the root.
    file: String,
    /// What is defined in it.
    items: BTreeSet<String>,
    /// What `use` brings into it: a name, or `*`, and the path.
    uses: Vec<(String, Vec<String>)>,
}

/// A crate's modules.
pub struct Crate {
    folder: PathBuf,
    modules: HashMap<Name, Module>,
    /// The text of each file, without tests, with the module it is.
    texts: Vec<(Name, TokenStream)>,
}

fn for_tests(attributes: &[Attribute]) -> bool {
    let test = |a: &Attribute| {
        let text = a.meta.to_token_stream().to_string();
        text.starts_with("cfg") && text.contains("test")
    };
    attributes.iter().any(test)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(i) => &i.ident,
        Item::Enum(i) => &i.ident,
        Item::Fn(i) => &i.sig.ident,
        Item::Macro(i) => i.ident.as_ref()?,
        Item::Static(i) => &i.ident,
        Item::Struct(i) => &i.ident,
        Item::Trait(i) => &i.ident,
        Item::Type(i) => &i.ident,
        Item::Union(i) => &i.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The paths of a `use`, with the names that they bring.
fn imports(tree: &UseTree, before: &[String], out: &mut Vec<(String, Vec<String>)>) {
    let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
    match tree {
        UseTree::Path(p) => imports(&p.tree, &with(&p.ident), out),
        UseTree::Name(n) if n.ident == "self" => {
            out.push((before.last().cloned().unwrap_or_default(), before.to_vec()))
        }
        UseTree::Name(n) => out.push((n.ident.to_string(), with(&n.ident))),
        UseTree::Rename(r) => out.push((r.rename.to_string(), with(&r.ident))),
        UseTree::Glob(_) => out.push(("*".to_owned(), before.to_vec())),
        UseTree::Group(g) => g.items.iter().for_each(|t| imports(t, before, out)),
    }
}

impl Crate {
    /// Reads the crate whose root is the given file.
    pub fn read(root: &Path) -> Crate {
        let mut this = Crate {
            folder: root.parent().unwrap().to_owned(),
            modules: HashMap::new(),
            texts: Vec::new(),
        };
        let folder = this.folder.clone();
        this.file(Vec::new(), root, &folder);
        this
    }

    /// Reads the module `name` from its file; its children's files are in `folder`.
    fn file(&mut self, name: Name, path: &Path, folder: &Path) {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let short = path.strip_prefix(&self.folder).unwrap().display().to_string();
        let mut tokens = TokenStream::new();
        self.items(&name, file.items, &short, folder, &mut tokens);
        self.texts.push((name, tokens));
    }

    fn items(&mut self, name: &Name, items: Vec<Item>, file: &str, folder: &Path, tokens: &mut TokenStream) {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        for item in items.into_iter().filter(|item| !for_tests(attributes(item))) {
            module.items.extend(defined(&item));
            if let Item::Use(u) = &item {
                imports(&u.tree, &[], &mut module.uses);
            }
            let Item::Mod(m) = item else {
                item.to_tokens(tokens);
                continue;
            };
            let child = [&name[..], &[m.ident.to_string()]].concat();
            let below = folder.join(m.ident.to_string());
            match m.content {
                Some((_, items)) => {
                    let mut inner = TokenStream::new();
                    self.items(&child, items, file, &below, &mut inner);
                    let ident = m.ident;
                    tokens.extend(quote::quote!(mod #ident { #inner }));
                }
                None if below.join("mod.rs").exists() => self.file(child, &below.join("mod.rs"), &below),
                None => self.file(child, &below.with_extension("rs"), &below),
            }
        }
        self.modules.insert(name.clone(), module);
    }

    /// The file where what a path names is defined, if that is in the crate.
    fn resolve(&self, from: &Name, path: &[String], depth: u32) -> Option<&str> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            _ if self.modules.contains_key(&[&from[..], &path[..1]].concat()) => {
                rest = path;
                from.clone()
            }
            _ => return None,
        };
        while let Some((next, after)) = rest.split_first() {
            let child = [&at[..], std::slice::from_ref(next)].concat();
            if next == "super" {
                at.pop()?;
            } else if self.modules.contains_key(&child) {
                at = child;
            } else {
                return self.member(&at, rest, depth);
            }
            rest = after;
        }
        Some(&self.modules[&at].file)
    }

    /// The file where a module's member is defined: the module's own, or where it comes from.
    fn member(&self, at: &Name, path: &[String], depth: u32) -> Option<&str> {
        let module = self.modules.get(at)?;
        if module.items.contains(&path[0]) || depth > 8 {
            return Some(&module.file);
        }
        let named = module.uses.iter().filter(|u| u.0 == path[0]);
        let found = named.map(|(_, to)| [to, &path[1..]].concat());
        let globs = module.uses.iter().filter(|u| u.0 == "*");
        let globs = globs.map(|(_, to)| [&to[..], path].concat());
        let sources = found.map(|to| (true, to)).chain(globs.map(|to| (false, to)));
        for (sure, to) in sources {
            let file = self.resolve(at, &to, depth + 1);
            if sure || file.is_some_and(|file| self.defines(file, path)) {
                return file;
            }
        }
        Some(&module.file)
    }

    /// Whether a module in the file defines the name.
    fn defines(&self, file: &str, path: &[String]) -> bool {
        let mut all = self.modules.values();
        all.any(|m| m.file == file && m.items.contains(&path[0]))
    }

    /// Whether a file is that of a module above `name`: what a child sees of its parents is as its own.
    fn is_ancestor(&self, file: &str, name: &Name) -> bool {
        let mut above = (0..name.len()).map(|n| &name[..n]);
        above.any(|n| self.modules.get(n).is_some_and(|m| m.file == file))
    }

    /// Which files import which, and the names they take.
    fn arrows(&self) -> BTreeMap<(String, String), BTreeSet<String>> {
        let mut arrows: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (name, text) in &self.texts {
            let mut paths = Vec::new();
            scan(text.clone(), name, &[], &mut paths);
            let file = &self.modules[name].file;
            for (from, path) in paths {
                let Some(to) = self.resolve(&from, &path, 0) else {
                    continue;
                };
                if to != file && !self.is_ancestor(to, name) {
                    let taken = arrows.entry((file.clone(), to.to_owned())).or_default();
                    taken.extend(path.last().cloned());
                }
            }
        }
        arrows
    }

    /// The circles: for each the arrows within it, a line each.
    pub fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let files: BTreeSet<&String> = arrows.keys().flat_map(|(from, to)| [from, to]).collect();
        let reached: BTreeMap<&String, BTreeSet<&String>> = (files.iter())
            .map(|&file| {
                let (mut seen, mut next) = (BTreeSet::new(), vec![file]);
                while let Some(at) = next.pop() {
                    let targets = arrows.keys().filter(|(from, _)| from == at).map(|(_, to)| to);
                    next.extend(targets.filter(|to| seen.insert(*to)));
                }
                (file, seen)
            })
            .collect();
        let circle = |file: &String| -> BTreeSet<&String> {
            let mutual = reached[file].iter().filter(|&&other| reached[other].contains(file));
            mutual.copied().collect()
        };
        let circles: BTreeSet<BTreeSet<&String>> = files.iter().map(|f| circle(f)).filter(|c| !c.is_empty()).collect();
        let line = |((from, to), names): (&(String, String), &BTreeSet<String>)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("{from} -> {to}: {}\n", names.join(", "))
        };
        let within = |c: &BTreeSet<&String>| {
            let inside = arrows
                .iter()
                .filter(|((from, to), _)| c.contains(from) && c.contains(to));
            inside.map(line).collect()
        };
        circles.iter().map(within).collect()
    }
}

/// Collects the paths in a text, with the module where each stands. A path begins with any name that no `::` precedes.
fn scan(text: TokenStream, module: &Name, before: &[String], out: &mut Vec<(Name, Vec<String>)>) {
    let tokens: Vec<TokenTree> = text.into_iter().collect();
    let colons = |at: usize| {
        let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        colon(at) && colon(at + 1)
    };
    let mut at = 0;
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Ident(ident) if ident == "mod" => {
                // `mod $name` in a macro
                at += usize::from(matches!(tokens.get(at), Some(TokenTree::Punct(_))));
                let (name, body) = (tokens.get(at), tokens.get(at + 1));
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) = (name, body) {
                    scan(body.stream(), &[&module[..], &[name.to_string()]].concat(), &[], out);
                    at += 2;
                }
            }
            TokenTree::Ident(ident) => {
                path.push(ident.to_string());
                if colons(at) {
                    at += 2;
                    continue;
                }
            }
            TokenTree::Group(group)
                if path.len() > before.len() && group.delimiter() == Delimiter::Brace && colons(at.wrapping_sub(3)) =>
            {
                scan(group.stream(), module, &path, out);
                path = before.to_vec();
                continue;
            }
            TokenTree::Group(group) => scan(group.stream(), module, &[], out),
            TokenTree::Punct(p) if p.as_char() == '*' && (path.len() > before.len() || !before.is_empty()) => {
                path.push("*".to_owned());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        if path.len() > before.len() {
            let mut whole = std::mem::replace(&mut path, before.to_vec());
            if whole.last().is_some_and(|last| last == "self") && whole.len() > 1 {
                whole.pop();
            }
            // `pub(super)`, or a local variable
            if whole.len() > 1 {
                out.push((module.clone(), whole));
            }
        }
    }
}
