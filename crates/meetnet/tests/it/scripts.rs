//! `tests/run`: where it builds. Nobody who has just built the demo waits for a second build.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::text;

/// Writes a program.
fn program(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("a program");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, executable).expect("a program");
}

/// Runs the script in a checkout that has nothing but it, with a cargo that only says where it would build.
fn built_in(checkout: &Path, home: &Path, target: Option<&Path>) -> String {
    let programs = home.join("bin");
    program(
        &programs.join("cargo"),
        r#"echo "builds in $CARGO_TARGET_DIR""#,
    );
    // Where a broker is missing, this is no test of how it is installed.
    for name in ["apt-get", "sudo", "systemctl", "python"] {
        program(&programs.join(name), "exit 0");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/run");
    std::fs::create_dir_all(checkout.join("tests")).expect("a folder");
    std::fs::copy(script, checkout.join("tests/run")).expect("the script");
    let path = std::env::var("PATH").expect("a search path");
    let mut command = Command::new("bash");
    command
        .arg(checkout.join("tests/run"))
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("HOME", home)
        .env("MEETNET_PYTHON", programs.join("python"))
        .env_remove("CARGO_TARGET_DIR")
        .envs(target.map(|target| ("CARGO_TARGET_DIR", target)))
        .stdin(Stdio::null());
    let output = command.output().expect("the script starts");
    let said = text(&output.stdout);
    let built = said
        .lines()
        .find_map(|line| line.strip_prefix("builds in "));
    let built = built.unwrap_or_else(|| panic!("{said}\n{}", text(&output.stderr)));
    built.to_owned()
}

#[test]
fn tests_are_built_where_the_demo_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("its path");
    let (checkout, home) = (folder.join("checkout"), folder.join("home"));
    let check = |target: Option<&Path>, expect: &Path| {
        let built = built_in(&checkout, &home, target);
        assert_eq!(Path::new(&built), expect, "{target:?}");
    };
    let named = folder.join("named");
    check(None, &home.join(".cache/meetnet"));
    check(Some(&named), &named);
    program(&checkout.join("target/release/meetnet"), "exit 0");
    check(None, &checkout.join("target"));
    check(Some(&named), &named);
}
