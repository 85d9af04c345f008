//! Copies the library's sources for the models: once as they are, and once with the edits of all negative
//! twins, each in force only in a run of its twin (a copy for each would take ten minutes to compile). In both
//! copies `crate::` leads into the copy, except that `crate::sync` is the models' own, made of loom's types.
//! The shipped sources know nothing of any of this.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The modules that are modelled, each with the names that the library's root gives it.
const MODULES: &[(&str, &str)] = &[
    ("arc_ref", "pub use arc_ref::ArcRef;"),
    ("key", "pub use key::{Key, KeyError, KeyRef};"),
    ("keyed", ""),
    ("object", "pub use object::Object;"),
    ("panic", ""),
    ("batch", "pub use batch::{Batch, Change};"),
    ("listing", "pub use listing::Listing;"),
    ("sink", "pub use sink::{Refused, Sink};"),
    ("version", "pub use version::{ResourceVersion, Revision};"),
    ("timer", ""),
    ("waiters", ""),
    ("selector", "pub use selector::LabelSelector;"),
    ("store", "pub use store::{Snapshot, Store};"),
    ("fifo", "pub use fifo::Fifo;"),
];
/// What the models cannot afford, in every copy: size.
const REDUCE: &[(&str, &str, &str)] = &[
    ("store/engine/mod.rs", "const SHARD_COUNT: usize = 256;", "const SHARD_COUNT: usize = 1;"),
    ("store/feed/segment.rs", "const PUBLICATIONS: usize = 64;", "const PUBLICATIONS: usize = 2;"),
    ("store/feed/log.rs", "const SEGMENTS: usize = 256;", "const SEGMENTS: usize = 2;"),
    // It waits for a clock; a model does what is due by itself.
    ("timer.rs", "*thread = start(Weak::clone(&self.owner)).ok();", ""),
    // So the thread ends as soon as there is nothing to do, and nobody wakes a task that this one can wake.
    ("waiters/alarm.rs", "from_secs(10)", "ZERO"),
    ("waiters/told.rs", "const TASKS: usize = 8;", "const TASKS: usize = 0;"),
    ("waiters/told.rs", "const PART: usize = 64;", "const PART: usize = 1;"),
    ("store/engine/table.rs", "const GROUP: usize = 16;", "const GROUP: usize = 2;"),
    ("store/engine/slab.rs", "const RECORDS: usize = 63;", "const RECORDS: usize = 4;"),
    ("fifo/state/keys.rs", "const SHARD_COUNT: usize = 16;", "const SHARD_COUNT: usize = 1;"),
    ("fifo/state/queue.rs", "stale > live + 64", "stale > 0 && live < 100"),
];

#[derive(Deserialize)]
struct Twins {
    twin: Vec<Twin>,
}

/// Sources with a guard taken out, over which a model has to fail.
#[derive(Deserialize)]
struct Twin {
    name: String,
    model: String,
    /// What the failure says, in part; nothing if the model has to pass.
    fails: String,
    edit: Vec<Edit>,
}

#[derive(Clone, Deserialize, PartialEq)]
struct Edit {
    file: String,
    /// What stands right before the text to replace, and stays.
    #[serde(default)]
    after: String,
    find: String,
    /// What stands right behind it.
    #[serde(default)]
    before: String,
    #[serde(default)]
    replace: String,
}

/// The edits of the twins, each once, with the names of the twins that have it.
fn switched(twins: &[Twin]) -> Vec<Edit> {
    let mut edits: Vec<(&Edit, Vec<&str>)> = Vec::new();
    for twin in twins {
        for edit in &twin.edit {
            match edits.iter_mut().find(|(other, _)| *other == edit) {
                Some((_, names)) => names.push(&twin.name),
                None => edits.push((edit, vec![&twin.name])),
            }
        }
    }
    edits.into_iter().map(|(edit, twins)| edit.switched(&twins)).collect()
}

impl Edit {
    /// This edit, in force for these twins alone.
    fn switched(&self, twins: &[&str]) -> Self {
        let Self { find, replace, .. } = self;
        let on = format!("crate::run::is_twin(&{twins:?})");
        let replace = if is_expression(find) && is_expression(replace) {
            format!("(if {on} {{ ({replace}) }} else {{ ({find}) }})")
        } else if are_statements(find) && are_statements(replace) {
            format!("if {on} {{\n{replace}\n}} else {{\n{find}\n}}")
        } else {
            panic!("{twins:?}: neither an expression nor whole statements, in both texts:\n{find}");
        };
        Self { replace, ..self.clone() }
    }
}

fn is_expression(text: &str) -> bool {
    syn::parse_str::<syn::Expr>(text).is_ok()
}

/// Those that bind names end at a brace, which the switch would bring.
fn are_statements(text: &str) -> bool {
    syn::parse_str::<syn::Block>(&format!("{{\n{text}\n}}")).is_ok_and(|block| {
        !block.stmts.iter().any(|statement| matches!(statement, syn::Stmt::Local(_)))
    })
}

fn main() {
    let here = PathBuf::from(env("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env("OUT_DIR"));
    let source = here.join("../src");
    println!("cargo::rerun-if-changed=models");
    println!("cargo::rerun-if-changed=twins.toml");
    for (module, _) in MODULES {
        println!("cargo::rerun-if-changed={}", module_path(&source, module).display());
    }

    let twins = fs::read_to_string(here.join("twins.toml")).expect("twins.toml is there");
    let twins: Twins = toml::from_str(&twins).expect("twins.toml is well-formed");
    let models = models(&here.join("models"));
    let mut root = copy(&source, &out, "real", &models, &[]);
    let mut seen = HashSet::new();
    for twin in &twins.twin {
        assert!(seen.insert(&twin.name), "two twins are called {}", twin.name);
        assert!(
            models.iter().any(|(name, _)| *name == twin.model),
            "twin {}: there is no model {}",
            twin.name,
            twin.model
        );
    }
    root += &copy(&source, &out, "twins", &models, &switched(&twins.twin));
    root += "pub const MODELS: &[(&str, fn())] = &[\n";
    for (name, _) in models.iter().filter(|(name, _)| name.contains('_')) {
        root += &format!("    ({name:?}, real::{}),\n", model_path(name));
    }
    root += "];\n/// Name, model, what the failure says, and the run.\n";
    root += "pub const TWINS: &[(&str, &str, &str, fn())] = &[\n";
    for twin in &twins.twin {
        let Twin { name, model, fails, .. } = twin;
        root += &format!("    ({name:?}, {model:?}, {fails:?}, twins::{}),\n", model_path(model));
    }
    root += "];\n";
    write(&out.join("models.rs"), &root);
}

/// Every model, by name: `store_batch` lives in a module `store` as `model_batch`. What the models of a
/// part share is `store`, and lives there as `model`.
fn models(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut models: Vec<_> = fs::read_dir(folder)
        .expect("models is a folder")
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (name, path)
        })
        .collect();
    models.sort();
    models
}

fn model_path(name: &str) -> String {
    let (part, idea) = name.split_once('_').expect("a model is named part_idea");
    format!("{part}::model_{idea}::model")
}

fn copy(
    source: &Path,
    out: &Path,
    name: &str,
    models: &[(String, PathBuf)],
    edits: &[Edit],
) -> String {
    let folder = out.join(name);
    let _ = fs::remove_dir_all(&folder);
    // A twin is mutilated on purpose.
    let mut root = format!("#[allow(warnings)]\npub mod {name} {{\n");
    for (module, names) in MODULES {
        let path = module_path(source, module);
        if path.is_dir() {
            copy_folder(&path, &folder.join(module), name);
        } else {
            copy_file(&path, &folder.join(format!("{module}.rs")), name);
        }
        let path = module_path(&folder, module);
        let file = if path.is_dir() { path.join("mod.rs") } else { path };
        root += &format!("    #[path = {file:?}]\n    pub mod {module};\n    {names}\n");
    }
    root += "}\n";
    let reduce = REDUCE
        .iter()
        .map(|(file, find, replace)| (*file, (*find).to_owned(), (*replace).to_owned()));
    let edits = edits.iter().map(|Edit { file, after, find, before, replace }| {
        (file.as_str(), format!("{after}{find}{before}"), format!("{after}{replace}{before}"))
    });
    for (file, find, replace) in reduce.chain(edits) {
        let (find, replace) = (find.as_str(), replace.as_str());
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name}: no file {file}"));
        let found = text.matches(find).count();
        assert_eq!(found, 1, "{name}: {file} has this {found} times, not once:\n{find}");
        write(&path, &text.replace(find, replace));
    }
    for (model, path) in models {
        let (part, module) = match model.split_once('_') {
            Some((part, idea)) => (part, format!("model_{idea}")),
            None => (model.as_str(), "model".to_owned()),
        };
        let file = folder.join(part).join("mod.rs");
        let mut text = fs::read_to_string(&file).expect("a model's part is a folder");
        copy_file(path, &folder.join(part).join(format!("{module}.rs")), name);
        text += &format!("\npub mod {module};\n");
        write(&file, &text);
    }
    root
}

fn module_path(folder: &Path, module: &str) -> PathBuf {
    let path = folder.join(module);
    if path.is_dir() { path } else { folder.join(format!("{module}.rs")) }
}

fn copy_folder(from: &Path, to: &Path, name: &str) {
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        let to = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() { copy_folder(&path, &to, name) } else { copy_file(&path, &to, name) }
    }
}

fn copy_file(from: &Path, to: &Path, name: &str) {
    let text = fs::read_to_string(from).expect("a source can be read");
    let text = text
        .replace("crate::", &format!("crate::{name}::"))
        .replace(&format!("crate::{name}::sync"), "crate::sync")
        .replace(&format!("crate::{name}::run"), "crate::run");
    write(to, &text);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
    fs::write(path, text).expect("a file can be written");
}

fn env(name: &str) -> String {
    std::env::var(name).expect("cargo sets it")
}
