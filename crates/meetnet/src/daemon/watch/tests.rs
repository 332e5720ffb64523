use super::*;
use crate::config::Environment;

const TEXT: &str = r#"
[schemas]
dir = "schemas"
[ingest_http]
listen = "127.0.0.1:0"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
token = { file = "token" }
registry = "devices.csv"
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

#[tokio::test]
async fn a_change_counts_once_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    std::fs::create_dir(path("schemas")).unwrap();
    write("meetnet.toml", TEXT);
    write("devices.csv", "id,station\n1,window\n");
    let environment = Environment::default();
    let config = Config::load(&path("meetnet.toml"), &environment).unwrap();
    let mut watch = ConfigWatch::start(&config).unwrap();
    let mut check = |expect: &[bool]| {
        for (at, expect) in expect.iter().enumerate() {
            let print = watch.places.fingerprint();
            assert_eq!(watch.look(print), *expect, "look {at}");
        }
    };
    check(&[false, false]);
    write("meetnet.toml", &format!("{TEXT}# a comment\n"));
    check(&[false, true, false]);
    // Written in two goes, with a look between them.
    write("meetnet.toml", "[sche");
    check(&[false]);
    write("meetnet.toml", TEXT);
    check(&[false, true, false]);
    write("schemas/odour.toml", "id = \"odour\"");
    check(&[false, true, false]);
    write("schemas/notes.txt", "no declaration");
    check(&[false, false]);
    std::fs::remove_file(path("schemas/odour.toml")).unwrap();
    check(&[false, true, false]);
    // What the file names counts as well, also what is not there yet.
    write("devices.csv", "id,station\n1,balcony\n");
    check(&[false, true, false]);
    write("token", "s3cret");
    check(&[false, true, false]);
    // Changed and changed back: nothing to do.
    write("meetnet.toml", "");
    check(&[false]);
    write("meetnet.toml", TEXT);
    check(&[false, false]);
}

#[tokio::test]
async fn a_refused_configuration_is_read_again_though_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meetnet.toml");
    std::fs::write(&file, "").unwrap();
    let config = Config::load(&file, &Environment::default()).unwrap();
    let mut watch = ConfigWatch::start(&config).unwrap();
    watch.try_again();
    assert!(watch.retry_at.is_some_and(|at| at > Instant::now()));
    // As if it were time.
    watch.retry_at = Some(Instant::now());
    let changed = tokio::time::timeout(PERIOD / 2, watch.changed()).await;
    assert_eq!(changed, Ok(Cause::Retry));
    assert_eq!(watch.retry_at, None, "once");
    watch.try_again();
    watch.follow(&config);
    assert_eq!(watch.retry_at, None);
}
