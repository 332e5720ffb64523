use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::storage::FolderStorage;

#[test]
fn a_file_is_compared_with_what_was_committed() {
    let lake = tempfile::tempdir().unwrap();
    let folder = TableFolder::new(Arc::new(FolderStorage::new(lake.path())), "air");
    std::fs::create_dir(lake.path().join("air")).unwrap();
    let file = LiveFile {
        path: Arc::from("x.parquet"),
        run: Arc::from("x"),
        part: 0,
        bytes: 3,
        rows: 1,
        licence: "CC0-1.0".into(),
        superseded: false,
        period: Arc::from("2026"),
        // Of the three bytes "abc".
        sha256: Arc::from("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        committed_at_ms: 0,
        statistics: BTreeMap::new(),
    };
    let check = |content: Option<&str>, expect: Option<Damage>| {
        let path = lake.path().join("air/x.parquet");
        let _ = std::fs::remove_file(&path);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        assert_eq!(examine(&folder, &file).unwrap(), expect, "{content:?}");
        match (verify(&folder, &file), expect) {
            (Ok(()), None) => {}
            (Err(error), Some(damage)) => {
                let text = error.to_string();
                let shown = path.display().to_string();
                assert!(
                    text.contains(&shown) && text.contains(&damage.to_string()),
                    "{text}"
                );
            }
            (result, _) => panic!("{content:?}: {result:?}"),
        }
    };
    let wrong_length = |bytes| Damage::WrongLength { bytes, expected: 3 };
    check(Some("abc"), None);
    check(None, Some(Damage::Missing));
    check(Some("ab"), Some(wrong_length(2)));
    check(Some("abcd"), Some(wrong_length(4)));
    check(Some("abd"), Some(Damage::WrongChecksum));
    // Right by its hash, and still no Parquet; or a disk that failed once.
    std::fs::write(lake.path().join("air/x.parquet"), "abc").unwrap();
    let no_parquet = parquet::errors::ParquetError::General("no magic".to_owned());
    let failed = LakeError::parquet("read", &folder.shown(&file.path))(no_parquet);
    let found = diagnose(&folder, &file, failed).to_string();
    assert!(found.contains("cannot be read as Parquet"), "{found}");
    let path = folder.shown(&file.path);
    for passing in [
        io::Error::other("the disk did not answer"),
        // It is there again.
        io::ErrorKind::NotFound.into(),
    ] {
        let failed = LakeError::io("read", &path)(passing);
        let found = diagnose(&folder, &file, failed);
        assert!(matches!(found, LakeError::Io { .. }), "{found}");
    }
}
