//! Lists `schemas/*.toml`, so that a dataset is added by its file alone: no Rust names it.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let folder = root.join("../../schemas");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the workspace has a folder `schemas`")
        .map(|entry| entry.expect("the folder `schemas` can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let entries: String = files
        .iter()
        .map(|path| {
            let name = path.file_name().expect("it is a file").to_string_lossy();
            format!("(\"schemas/{name}\", include_str!({path:?})),\n")
        })
        .collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("builtin.rs"), format!("&[\n{entries}]\n")).expect("OUT_DIR is writable");
}
