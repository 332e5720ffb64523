use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use meetnet_model::ids::LicenceId;

use super::{LIST, RemoteFile, forget_others, holds, note_coming, write_list};

fn file(url: &str, content: &[u8], sha256: &str) -> RemoteFile {
    RemoteFile {
        url: url.to_owned(),
        bytes: content.len() as u64,
        sha256: sha256.to_owned(),
        rows: 1,
        masked_rows: 0,
        licence: LicenceId::new("CC0-1.0"),
    }
}

/// SHA-256 of `ab`.
const AB: &str = "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603";

#[test]
fn a_service_names_files_of_the_dataset_only() {
    for (url, expect) in [
        (
            "/files/air/licence=CC0-1.0/x.parquet",
            Some("licence=CC0-1.0/x.parquet"),
        ),
        ("/files/air/x.parquet", Some("x.parquet")),
        ("/files/heat/x.parquet", None),
        ("/files/airport/x.parquet", None),
        ("/files/air/../x.parquet", None),
        ("/files/air/a/../../../etc/x", None),
        ("/files/air//etc/passwd", None),
        ("/files/air/", None),
        ("http://elsewhere/files/air/x", None),
    ] {
        let found = file(url, b"", "").path("air");
        assert_eq!(found, expect.map(PathBuf::from), "{url}");
    }
}

#[test]
fn a_file_is_there_when_its_bytes_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    let wanted = file("/files/air/x", b"ab", AB);
    for (content, expect) in [
        (None, false),
        (Some("ab"), true),
        (Some("ax"), false),
        (Some("abc"), false),
    ] {
        if let Some(content) = content {
            fs::write(&path, content).expect("a file");
        }
        assert_eq!(holds(&path, &wanted).expect("read"), expect, "{content:?}");
    }
}

#[test]
fn only_what_was_fetched_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let names = ["kept", "merged", "own", "gone"];
    for name in &names[..3] {
        fs::write(folder.join(name), "ab").expect("a file");
    }
    let fetched = ["kept", "merged", "gone", "../outside"];
    let fetched = fetched.map(|name| file(&format!("/files/air/{name}"), b"ab", AB));
    let wanted = BTreeSet::from([PathBuf::from("kept")]);
    let none = forget_others(folder, "air", &wanted).expect("no list");
    assert_eq!((none.removed, none.kept.len()), (0, 0));
    write_list(&folder.join(LIST), &fetched).expect("a list");
    let earlier = forget_others(folder, "air", &wanted).expect("a list");
    assert_eq!(earlier.removed, 1);
    assert_eq!(earlier.kept, fetched[..1]);
    let there = names.map(|name| folder.join(name).exists());
    assert_eq!(there, [true, false, true, false]);
    fs::write(folder.join(LIST), "no list").expect("a file");
    forget_others(folder, "air", &wanted).expect_err("a list of another kind");
}

#[test]
fn what_a_run_that_broke_off_has_left_is_known_to_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let of = |name: &str| file(&format!("/files/air/{name}"), b"ab", AB);
    note_coming(folder, &[of("whole"), of("begun"), of("live")]).expect("a list");
    note_coming(folder, &[of("live"), of("later")]).expect("a list");
    for name in ["whole", "begun.part", "live", "own.part"] {
        fs::write(folder.join(name), "a").expect("a file");
    }
    let live = BTreeSet::from([PathBuf::from("live"), PathBuf::from("later")]);
    let earlier = forget_others(folder, "air", &live).expect("a list");
    assert_eq!(earlier.removed, 1);
    assert_eq!(earlier.kept, [of("live")]);
    let there = ["whole", "begun.part", "live", "own.part"];
    let there = there.map(|name| folder.join(name).exists());
    assert_eq!(there, [false, false, true, true]);
}
