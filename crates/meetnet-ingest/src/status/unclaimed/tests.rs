use super::{PATHS_MAX, Unclaimed};

/// Checks what is shown of a path.
fn check(path: &str, expect: &str) {
    let unclaimed = Unclaimed::default();
    unclaimed.note(path, "why".to_owned(), 1);
    let read = unclaimed.read();
    assert_eq!(read.len(), 1, "{path}");
    assert_eq!(read[0].path.as_deref(), Some(expect), "{path}");
}

#[test]
fn of_a_path_nothing_is_shown_that_may_be_a_credential_or_an_id() {
    for (path, expect) in [
        ("/", "/"),
        ("/write", "/write"),
        ("/api/v2/write", "/api/v2/write"),
        // With and without the last slash it is the same path.
        ("/data/report/", "/data/report"),
        ("/v1/push-sensor-data/", "/v1/push-sensor-data"),
        (
            "/weatherstation/updateweatherstation.php",
            "/weatherstation/updateweatherstation.php",
        ),
        ("/v1.1/Datastreams(42)/Observations", "/v1.1/…/Observations"),
        ("/ingest/v1/air-rohr_2", "/ingest/v1/air-rohr_2"),
        ("/ingest/v1/roof/hunter2", "/ingest/v1/roof/…"),
        ("/ingest/v1/Xk3fP9sQ", "/ingest/v1/…"),
        ("/ingest/v1/a0b1c2d3e4f5", "/ingest/v1/…"),
        ("/ingest/v1/jan%40example.org", "/ingest/v1/…"),
        ("/ingest/roof/hunter2", "/ingest/roof/…"),
        ("/a/b/c/secret/d", "/a/b/c/…"),
        ("/report/0123456789ABCDEF0123456789ABCDEF", "/report/…"),
        ("/AA:BB:CC:DD:EE:FF", "/…"),
        ("//evil.example", "/evil.example"),
    ] {
        check(path, expect);
    }
}

#[test]
fn paths_are_counted_apart_and_the_last_comes_first() {
    let unclaimed = Unclaimed::default();
    unclaimed.note("/write", "no source".to_owned(), 1);
    unclaimed.note("/data/report/", "no source".to_owned(), 2);
    unclaimed.note("/write", "a wrong token".to_owned(), 3);
    let read = unclaimed.read();
    let counts: Vec<_> = read
        .iter()
        .map(|known| (known.path.as_deref(), known.total, known.last_at))
        .collect();
    assert_eq!(
        counts,
        [(Some("/write"), 2, 3), (Some("/data/report"), 1, 2)]
    );
    assert_eq!(read[0].reason, "a wrong token");
}

#[test]
fn whoever_makes_up_paths_hides_no_gateway() {
    let unclaimed = Unclaimed::default();
    unclaimed.note("/write", "why".to_owned(), 1);
    unclaimed.note("/write", "why".to_owned(), 2);
    let letters = || b'a'..=b'z';
    let mut at = 2;
    for first in letters() {
        for second in letters() {
            at += 1;
            let name = [first, second].map(char::from);
            let path = format!("/{}{}", name[0], name[1]);
            unclaimed.note(&path, "why".to_owned(), at);
        }
    }
    let read = unclaimed.read();
    assert_eq!(read.len(), PATHS_MAX + 1);
    assert_eq!(read[0].path.as_deref(), Some("/zz"));
    assert!(
        read.iter()
            .any(|known| known.path.as_deref() == Some("/write") && known.total == 2)
    );
    // Nothing is dropped without being counted.
    let all: u64 = read.iter().map(|known| known.total).sum();
    assert_eq!(all, 2 + 26 * 26);
    assert_eq!(read[PATHS_MAX].path, None);
}
