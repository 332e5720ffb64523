use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use bytes::Bytes;
use meetnet_lake::damage::Damage;
use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot};
use meetnet_lake::storage::{FolderStorage, TableFolder};
use tempfile::TempDir;

use super::*;
use crate::fixture::{self, Answer};

const NAME: &str = "019a9d00-0000-7000-8000-000000000001.parquet";
const OTHER: &str = "019a9d00-0000-7000-8000-000000000002.parquet";
const FOLDER: &str = "licence=CC-BY-4.0/superseded=false/month=2026-11";

/// A lake whose `heat` has one file, and another one that was replaced and lies there still.
struct Lake {
    router: Router,
    snapshot: SharedSnapshot,
    folder: TempDir,
    of_table: TableFolder,
    content: String,
}

fn sha256(content: &str) -> String {
    Hex(&Sha256::digest(content.as_bytes())).to_string()
}

impl Lake {
    fn new() -> Self {
        // More than two chunks.
        let content: String = (0..300_000).map(|n| format!("{n:08}")).collect();
        let folder = TempDir::new().unwrap();
        let partition = folder.path().join("heat").join(FOLDER);
        std::fs::create_dir_all(&partition).unwrap();
        std::fs::write(partition.join(NAME), &content).unwrap();
        std::fs::write(partition.join(OTHER), "replaced").unwrap();
        let mut lake = fixture::lake(&fixture::declarations());
        let heat = lake.tables.get_mut(&DatasetId::new("heat")).unwrap();
        let heat = Arc::make_mut(heat);
        heat.folder = TableFolder::new(Arc::new(FolderStorage::new(folder.path())), "heat");
        let of_table = heat.folder.clone();
        let times = ColumnStatistics {
            min: Some(StatisticsValue::Int(fixture::NOW - fixture::MINUTE)),
            max: Some(StatisticsValue::Int(fixture::NOW)),
            nulls: Some(0),
        };
        heat.files = Arc::new(vec![Arc::new(LiveFile {
            path: format!("{FOLDER}/{NAME}").into(),
            run: "run".into(),
            part: 0,
            bytes: content.len() as u64,
            rows: 7,
            licence: LicenceId::new("CC-BY-4.0"),
            superseded: false,
            period: "2026-11".into(),
            sha256: sha256(&content).into(),
            committed_at_ms: fixture::NOW / 1000,
            statistics: [("time".into(), times)].into(),
        })]);
        let snapshot = Arc::new(ArcSwap::from_pointee(lake));
        Self {
            router: crate::public_router(fixture::state_over(Arc::clone(&snapshot))),
            snapshot,
            folder,
            of_table,
            content,
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        fixture::get_with(self.router.clone(), path, headers).await
    }

    async fn file(&self, name: &str, headers: &[(&str, &str)]) -> Answer {
        self.get(&format!("/files/heat/{FOLDER}/{name}"), headers)
            .await
    }
}

#[tokio::test]
async fn the_list_leads_to_every_file() {
    let lake = Lake::new();
    let answer = lake.get("/api/v1/datasets/heat/files", &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["through"], 42);
    assert_eq!(json["hot_rows"], 2);
    let file = &json["files"][0];
    assert_eq!(file["rows"], 7);
    assert_eq!(file["masked_rows"], 0);
    assert_eq!(file["licence"], "CC-BY-4.0");
    assert_eq!(file["attributions"], serde_json::json!(["100 % café"]));
    assert_eq!(file["period"], "2026-11");
    assert_eq!(file["time_max"], "2026-11-22T02:46:20Z");
    assert_eq!(file["sha256"], sha256(&lake.content));
    let content = lake.get(file["url"].as_str().unwrap(), &[]).await;
    assert_eq!(content.body, lake.content);
}

#[tokio::test]
async fn the_list_can_be_narrowed() {
    let lake = Lake::new();
    for (query, expect) in [
        ("from=2026-11-22T02:46:20Z", 1),
        ("from=2026-11-22T02:46:21Z", 0),
        ("from=2026-11-22", 1),
        ("from=2026-11-23", 0),
        ("to=2026-11-22", 0),
        ("to=2026-11-22T02:45:20Z", 0),
        ("to=2026-11-22T02:45:21Z", 1),
        ("licence=CC-BY-4.0&superseded=false", 1),
        ("licence=CC0-1.0", 0),
        ("licence=CC0-1.0,CC-BY-4.0", 1),
        ("licence=CC0-1.0&licence=CC-BY-4.0", 1),
        ("superseded=true", 0),
    ] {
        let answer = lake
            .get(&format!("/api/v1/datasets/heat/files?{query}"), &[])
            .await;
        let count = answer.json()["files"].as_array().map(Vec::len);
        assert_eq!(count, Some(expect), "{query}");
    }
    for query in [
        "form=x",
        "superseded=maybe",
        "from=yesterday",
        "to=1&to=2",
        "licence=https://example.org/licence",
        "licence=CC-BY-4.0,CC-BY-3.0",
    ] {
        let path = format!("/api/v1/datasets/heat/files?{query}");
        let answer = lake.get(&path, &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// Files of local days and years are found by these, and named by them, whatever folder they lie in.
#[tokio::test]
async fn periods_of_local_days_are_local() {
    const HOUR: i64 = 3600 * fixture::SECOND;
    // 2024-12-31T23:00:00Z: 2025 in Brussels.
    const YEAR_2025: i64 = 1_735_686_000_000_000;
    const YEAR_2026: i64 = YEAR_2025 + 365 * 24 * HOUR;
    let mut lake = fixture::lake(&fixture::declarations());
    let yearly = lake.tables.get_mut(&DatasetId::new("air_yearly")).unwrap();
    let file = |folder: &str, (min, max): (i64, i64)| {
        let times = ColumnStatistics {
            min: Some(StatisticsValue::Int(min)),
            max: Some(StatisticsValue::Int(max)),
            nulls: Some(0),
        };
        Arc::new(LiveFile {
            path: format!("licence=CC-BY-4.0/superseded=false/year={folder}/{NAME}").into(),
            run: "run".into(),
            part: 0,
            bytes: 8,
            rows: 7,
            licence: LicenceId::new("CC-BY-4.0"),
            superseded: false,
            period: folder.into(),
            sha256: sha256("replaced").into(),
            committed_at_ms: fixture::NOW / 1000,
            statistics: [("time".into(), times)].into(),
        })
    };
    Arc::make_mut(yearly).files = Arc::new(vec![
        file("2024", (YEAR_2025, YEAR_2025)),
        file("2025", (YEAR_2025 + 24 * HOUR, YEAR_2026)),
    ]);
    let snapshot = Arc::new(ArcSwap::from_pointee(lake));
    let router = crate::public_router(fixture::state_over(snapshot));
    for (query, periods) in [
        ("", vec!["2025", "2025/2026"]),
        ("?from=2025-01-01&to=2025-01-02", vec!["2025"]),
        ("?from=2026-01-01", vec!["2025/2026"]),
        ("?from=2024-01-01&to=2025-01-01", vec![]),
        ("?to=2025-01-01T00:00:00Z", vec!["2025"]),
    ] {
        let path = format!("/api/v1/datasets/air_yearly/files{query}");
        let answer = fixture::get(router.clone(), &path).await.json();
        let files = answer["files"].as_array().expect("files");
        let found: Vec<&str> = files.iter().filter_map(|f| f["period"].as_str()).collect();
        assert_eq!(found, periods, "{query}");
    }
    let path = "/api/v1/datasets/air_yearly/files?from=2026-01-01&to=2025-01-01";
    let answer = fixture::get(router, path).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("from lies behind to"), "{answer:?}");
}

#[tokio::test]
async fn a_file_says_what_it_is_and_under_which_licence() {
    let lake = Lake::new();
    let answer = lake.file(NAME, &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let tag = format!("\"{}\"", sha256(&lake.content));
    for (header, expect) in [
        ("etag", tag.as_str()),
        ("content-length", "2400000"),
        ("accept-ranges", "bytes"),
        ("content-type", "application/vnd.apache.parquet"),
        ("cache-control", "public, max-age=3600, immutable"),
        (
            "link",
            "<https://creativecommons.org/licenses/by/4.0/>; rel=\"license\"",
        ),
        ("meetnet-licence", "CC-BY-4.0"),
        ("meetnet-attribution", "100 %25 caf%C3%A9"),
        (
            "content-disposition",
            "attachment; filename=\"heat-019a9d00-0000-7000-8000-000000000001.parquet\"",
        ),
    ] {
        assert_eq!(answer.header(header), expect, "{header}");
    }
    assert_eq!(answer.body, lake.content);
    let known = lake.file(NAME, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert_eq!((known.header("etag"), known.body.as_str()), (&*tag, ""));
    let path = format!("/files/heat/{FOLDER}/{NAME}");
    let headers = [("if-none-match", tag.as_str())];
    let request = fixture::request("HEAD", &path, &headers, Body::empty());
    let known = fixture::send(lake.router.clone(), request).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert_eq!(known.header("content-length"), "");
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let lake = Lake::new();
    let tag = format!("\"{}\"", sha256(&lake.content));
    let (first, second) = lake.content.split_at(1_500_000);
    let part = lake.file(NAME, &[("range", "bytes=0-1499999")]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.header("content-range"), "bytes 0-1499999/2400000");
    assert!(part.body == first);
    let headers = [("range", "bytes=1500000-"), ("if-range", &*tag)];
    let rest = lake.file(NAME, &headers).await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    assert!(rest.body == second);
    // Of another content than the client began with, it gets the whole.
    let headers = [("range", "bytes=1500000-"), ("if-range", "\"other\"")];
    let whole = lake.file(NAME, &headers).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert!(whole.body == lake.content);
    let behind = lake.file(NAME, &[("range", "bytes=2400000-")]).await;
    assert_eq!(behind.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(behind.header("content-range"), "bytes */2400000");
}

#[tokio::test]
async fn nothing_but_the_content_that_is_wanted_is_sent() {
    let lake = Lake::new();
    let tag = format!("\"{}\"", sha256(&lake.content));
    let (weak, listed) = (format!("W/{tag}"), format!("\"other\", {tag}"));
    for (wanted, status) in [
        (tag.as_str(), 200),
        ("*", 200),
        (listed.as_str(), 200),
        ("\"other\"", 412),
        (weak.as_str(), 412),
    ] {
        let answer = lake.file(NAME, &[("if-match", wanted)]).await;
        assert_eq!(answer.status.as_u16(), status, "{wanted}");
    }
    let both = [("if-match", "\"other\""), ("if-none-match", tag.as_str())];
    let refused = lake.file(NAME, &both).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(refused.json()["type"], "/problems/precondition-failed");
}

#[tokio::test]
async fn only_get_has_ranges() {
    let lake = Lake::new();
    let path = format!("/files/heat/{FOLDER}/{NAME}");
    let request = fixture::request("HEAD", &path, &[("range", "bytes=0-3")], Body::empty());
    let answer = fixture::send(lake.router.clone(), request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-length"), "2400000");
}

#[tokio::test]
async fn a_replaced_file_is_there_until_it_is_removed() {
    let lake = Lake::new();
    for _ in 0..2 {
        let answer = lake.file(OTHER, &[("range", "bytes=-4")]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{answer:?}");
        assert_eq!(answer.body, "aced");
        assert_eq!(answer.header("etag"), format!("\"{}\"", sha256("replaced")));
    }
    let path = lake.folder.path().join("heat").join(FOLDER).join(OTHER);
    std::fs::remove_file(path).unwrap();
    let answer = lake.file(OTHER, &[]).await;
    assert_eq!(answer.status, StatusCode::GONE);
    assert_eq!(answer.json()["type"], "/problems/gone");
}

/// Whoever has the bytes of a file that was erased is not told that they are still those of its address.
#[tokio::test]
async fn an_erased_file_is_gone_for_those_who_have_it_too() {
    let lake = Lake::new();
    let mut tags = Vec::new();
    for name in [NAME, OTHER] {
        let answer = lake.file(name, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        tags.push((name, answer.header("etag").to_owned()));
    }
    let mut erased = LakeSnapshot::clone(&lake.snapshot.load());
    let heat = erased.tables.get_mut(&DatasetId::new("heat")).unwrap();
    let heat = Arc::make_mut(heat);
    heat.files = Arc::default();
    heat.version += 1;
    lake.snapshot.store(Arc::new(erased));
    let folder = lake.folder.path().join("heat").join(FOLDER);
    for (name, tag) in tags {
        assert!(!tag.is_empty(), "{name}");
        std::fs::remove_file(folder.join(name)).unwrap();
        for headers in [
            &[][..],
            &[("if-none-match", tag.as_str())],
            &[("if-none-match", "*")],
            &[("if-match", tag.as_str())],
            &[("range", "bytes=0-3"), ("if-range", tag.as_str())],
        ] {
            for method in ["GET", "HEAD"] {
                let path = format!("/files/heat/{FOLDER}/{name}");
                let request = fixture::request(method, &path, headers, Body::empty());
                let answer = fixture::send(lake.router.clone(), request).await;
                assert_eq!(answer.status, StatusCode::GONE, "{method} {headers:?}");
                assert_eq!(answer.header("etag"), "", "{method} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_but_data_files_of_public_tables() {
    let lake = Lake::new();
    let folder = lake.folder.path();
    std::fs::create_dir_all(folder.join("heat/_delta_log")).unwrap();
    std::fs::write(folder.join("heat/_delta_log/0.json"), "{}").unwrap();
    std::fs::write(folder.join("secret"), "s").unwrap();
    for path in [
        "/files/heat/_delta_log/0.json".to_owned(),
        "/files/heat/../secret".to_owned(),
        "/files/heat/%2e%2e/secret".to_owned(),
        format!("/files/heat/{FOLDER}/%2e%2e/{NAME}"),
        format!("/files/heat/{FOLDER}/other.parquet"),
        format!("/files/rejects/{FOLDER}/{NAME}"),
        "/api/v1/datasets/rejects/files".to_owned(),
    ] {
        let answer = lake.get(&path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let path = format!("/files/heat/{FOLDER}/{NAME}");
    std::fs::remove_file(folder.join("heat").join(FOLDER).join(NAME)).unwrap();
    let answer = lake.get(&path, &[]).await;
    assert_eq!(
        answer.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "a live file is missing: the lake is damaged"
    );
}

/// Nor a range of it, nor a word that it is what a client has; live or replaced.
#[tokio::test]
async fn a_damaged_file_is_not_sent() {
    let lake = Lake::new();
    let table = &lake.of_table;
    let tag = format!("\"{}\"", sha256(&lake.content));
    for name in [NAME, OTHER] {
        let path = format!("{FOLDER}/{name}");
        assert_eq!(lake.file(name, &[]).await.status, StatusCode::OK, "{name}");
        table.note_damage(&path, Some(Damage::WrongChecksum));
        for (header, value) in [
            ("accept", "*/*"),
            ("range", "bytes=0-3"),
            ("if-none-match", tag.as_str()),
        ] {
            let answer = lake.file(name, &[(header, value)]).await;
            assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{name}");
            let detail = answer.json()["detail"].to_string();
            for part in [name, "has other bytes than were written", "meetnet check"] {
                assert!(detail.contains(part), "{detail} should say {part}");
            }
        }
        table.note_damage(&path, None);
        assert_eq!(lake.file(name, &[]).await.status, StatusCode::OK, "{name}");
    }
}

#[test]
fn ranges() {
    for (range, bytes, expect) in [
        ("bytes=0-0", 10, Wanted::Part(0, 1)),
        ("bytes=2-", 10, Wanted::Part(2, 10)),
        ("bytes=2-99", 10, Wanted::Part(2, 10)),
        ("bytes=0-18446744073709551615", 10, Wanted::Part(0, 10)),
        ("bytes=0-99999999999999999999", 10, Wanted::Part(0, 10)),
        ("bytes=-99999999999999999999", 10, Wanted::Part(0, 10)),
        ("bytes=99999999999999999999-", 10, Wanted::Nothing),
        ("bytes=+1-+2", 10, Wanted::Whole),
        ("bytes=-3", 10, Wanted::Part(7, 10)),
        ("bytes=-30", 10, Wanted::Part(0, 10)),
        ("bytes=-0", 10, Wanted::Nothing),
        ("bytes=10-", 10, Wanted::Nothing),
        ("bytes=0-", 0, Wanted::Nothing),
        ("bytes=-1", 0, Wanted::Nothing),
        ("bytes=5-4", 10, Wanted::Whole),
        ("bytes=-", 10, Wanted::Whole),
        ("bytes=a-b", 10, Wanted::Whole),
        ("bytes=0-1,4-5", 10, Wanted::Whole),
        ("lines=0-1", 10, Wanted::Whole),
    ] {
        assert_eq!(Wanted::read(Some(range), bytes), expect, "{range}");
    }
    assert_eq!(Wanted::read(None, 10), Wanted::Whole);
}

/// A file that counts how often it is read, which takes its time; the first reads fail.
#[derive(Debug)]
struct SlowFile {
    failing: usize,
    reads: AtomicUsize,
}

impl StoredFile for SlowFile {
    fn bytes(&self) -> u64 {
        8
    }

    fn read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
        let before = self.reads.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(100));
        if before < self.failing {
            return Err(io::Error::other("no answer"));
        }
        Ok(Bytes::from_static(b"replaced"))
    }
}

#[test]
fn a_file_is_read_once_for_all_who_want_its_hash() {
    let hashes = FileHashes::default();
    let file = SlowFile {
        failing: 0,
        reads: AtomicUsize::new(0),
    };
    std::thread::scope(|scope| {
        let readers = (0..8).map(|_| scope.spawn(|| hashes.of("heat/a", &file).unwrap()));
        for reader in readers.collect::<Vec<_>>() {
            assert_eq!(*reader.join().unwrap(), *sha256("replaced"));
        }
    });
    assert_eq!(file.reads.load(Ordering::Relaxed), 1);
    // Another file, and one that could not be read, are read.
    hashes.of("heat/b", &file).unwrap();
    assert_eq!(file.reads.load(Ordering::Relaxed), 2);
    let file = SlowFile { failing: 1, ..file };
    file.reads.store(0, Ordering::Relaxed);
    assert!(hashes.of("heat/c", &file).is_err());
    assert_eq!(*hashes.of("heat/c", &file).unwrap(), *sha256("replaced"));
}

#[test]
fn no_more_hashes_are_kept_than_allowed() {
    let hashes = FileHashes::default();
    let file = SlowFile {
        failing: usize::MAX,
        reads: AtomicUsize::new(0),
    };
    for number in 0..HASHES_MAX {
        let slot = Slot::default();
        lock(&hashes.0).insert(number.to_string(), slot);
    }
    assert!(hashes.of("heat/a", &file).is_err());
    assert_eq!(lock(&hashes.0).len(), 1);
}

/// Asking again later helps against an outage alone.
#[test]
fn what_is_wrong_with_a_table_is_no_outage() {
    let outage = io::Error::other("503 Service Unavailable: SlowDown");
    let wrong = io::Error::other(LakeError::Usage("the table is read otherwise".to_owned()));
    for (error, expected) in [(outage, true), (wrong, false)] {
        assert_eq!(is_of_store(&error), expected, "{error}");
    }
}
