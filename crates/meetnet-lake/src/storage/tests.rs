//! One suite for every storage: what the lake rests on holds for each.

use std::io;
use std::sync::Arc;

use meetnet_testkit::s3::S3Server;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;

fn check(storage: &dyn LakeStorage) {
    assert_eq!(storage.list("").unwrap(), []);
    assert_eq!(storage.folders("nothing").unwrap(), Vec::<String>::new());
    let missing = storage.open("t/none", Access::Pages).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert_eq!(
        storage.read("t/none").unwrap_err().kind(),
        io::ErrorKind::NotFound
    );

    let mut file = storage.create("t/a/x.parquet").unwrap();
    // Larger than a part and than several blocks, of a length that divides by neither.
    let content: Vec<u8> = (0..20_000_003_u32).map(|i| (i % 251) as u8).collect();
    for part in content.chunks(1_000_001) {
        file.write_all(part).unwrap();
    }
    file.finish().unwrap();
    storage.sync_names("t/a").unwrap();
    assert_eq!(storage.read("t/a/x.parquet").unwrap(), content);
    for access in [Access::Pages, Access::Whole] {
        let file = storage.open("t/a/x.parquet", access).unwrap();
        assert_eq!(file.bytes(), content.len() as u64);
        for (offset, length) in [
            (0, 0),
            (0, 4),
            (262_100, 100),
            (4_194_300, 16),
            (1_000, 5_000_000),
            (19_999_999, 4),
            (0, 20_000_003),
        ] {
            let bytes = file.read_at(offset, length).unwrap();
            assert_eq!(
                bytes,
                content[offset as usize..offset as usize + length],
                "{offset} {length}"
            );
        }
        let beyond = file.read_at(20_000_000, 4).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }

    assert_eq!(
        storage.put_if_absent("t/log/1.json", b"one").unwrap(),
        Put::Done
    );
    assert_eq!(
        storage.put_if_absent("t/log/1.json", b"two").unwrap(),
        Put::Exists
    );
    assert_eq!(storage.read("t/log/1.json").unwrap(), b"one".as_slice());
    storage.replace("t/log/last", b"1").unwrap();
    storage.replace("t/log/last", b"22").unwrap();
    assert_eq!(storage.read("t/log/last").unwrap(), b"22".as_slice());

    let listed = |folder: &str| -> Vec<(String, u64)> {
        let listed = storage.list(folder).unwrap();
        listed.into_iter().map(|o| (o.path, o.bytes)).collect()
    };
    let all = [
        ("t/a/x.parquet".to_owned(), 20_000_003),
        ("t/log/1.json".to_owned(), 3),
        ("t/log/last".to_owned(), 2),
    ];
    assert_eq!(listed(""), all);
    assert_eq!(listed("t/log"), all[1..]);
    assert_eq!(storage.folders("").unwrap(), ["t"]);
    assert_eq!(storage.folders("t").unwrap(), ["a", "log"]);

    storage.remove("t/log/last").unwrap();
    assert_eq!(listed("t"), all[..2]);
    let both = ["t/a/x.parquet".to_owned(), "t/gone".to_owned()];
    storage.remove_all(&both).unwrap();
    assert_eq!(listed("t"), all[1..2]);
}

/// Of many writers that put one name, one wins, and its bytes are there.
fn check_race(storage: &Arc<dyn LakeStorage>) {
    let outcomes: Vec<Put> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16_u8)
            .map(|writer| scope.spawn(move || storage.put_if_absent("race", &[writer; 8]).unwrap()))
            .collect();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let winner = outcomes.iter().position(|put| *put == Put::Done).unwrap();
    assert_eq!(outcomes.iter().filter(|put| **put == Put::Done).count(), 1);
    assert_eq!(storage.read("race").unwrap(), [winner as u8; 8].as_slice());
}

#[test]
fn folder() {
    let folder = tempfile::tempdir().unwrap();
    let storage = FolderStorage::new(folder.path().join("deep/lake"));
    check(&storage);
    check_race(&(Arc::new(storage) as Arc<dyn LakeStorage>));
}

#[test]
fn objects() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for prefix in ["", "city/lake"] {
        let store = Arc::new(InMemory::new());
        let prefix = Path::parse(prefix).unwrap();
        let storage = ObjectStorage::new("memory://city", store, prefix, runtime.handle().clone());
        check(&storage);
        check_race(&(Arc::new(storage) as Arc<dyn LakeStorage>));
    }
}

#[test]
fn s3() {
    let Some(server) = S3Server::shared().unwrap() else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for prefix in ["", "city/lake"] {
        let bucket = server.new_bucket().unwrap();
        let url = format!("s3://{bucket}/{prefix}").parse().unwrap();
        let keys = S3Credentials::Keys {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        };
        let mut options = S3Options::new(url, keys);
        options.endpoint = Some(server.endpoint());
        options.allow_http = true;
        let storage = options.storage(runtime.handle().clone()).unwrap();
        check(&storage);
        check_race(&(Arc::new(storage) as Arc<dyn LakeStorage>));
    }
}

#[test]
fn a_file_that_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = FolderStorage::new(folder.path());
    let mut file = storage.create("t/x.parquet").unwrap();
    file.write_all(&[0; 1_000_000]).unwrap();
    drop(file);
    assert_eq!(storage.list("").unwrap(), []);
}

/// A disk was unmounted under the process, and another one is there.
#[test]
fn folders_that_are_gone_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    let storage = FolderStorage::new(&root);
    for content in [b"one", b"two"] {
        let mut file = storage.create("t/a/x.parquet").unwrap();
        file.write_all(content).unwrap();
        file.finish().unwrap();
        assert_eq!(storage.read("t/a/x.parquet").unwrap(), content.as_slice());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
