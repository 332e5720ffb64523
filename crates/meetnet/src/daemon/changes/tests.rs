use std::path::Path;

use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::poll::{Backfills, Hosts};
use meetnet_ingest::status::Statuses;
use meetnet_ingest::{DupWindows, EnvelopeSink, Intake};
use meetnet_lake::journal::{AppendError, Appended, NewEnvelope};
use meetnet_model::ids::Sequence;
use meetnet_model::privacy::PrivacyKey;
use tokio::sync::watch;

use super::*;
use crate::config::Environment;
use crate::daemon::session_note::SessionNote;
use crate::daemon::sources::{SourceParts, all};

/// A journal that takes nothing: nobody connects here.
struct Nowhere;

impl EnvelopeSink for Nowhere {
    fn append(&self, _: &NewEnvelope<'_>) -> Result<Appended, AppendError> {
        Err(AppendError::Stopped)
    }
}

fn facts(text: &str, environment: &[(&str, &str)]) -> Facts {
    let mut variables = Environment::default();
    for (name, value) in environment {
        variables.set(*name, *value);
    }
    let config = Config::parse(Path::new("meetnet.toml"), text, &variables).unwrap();
    let secrets = config.secrets(&variables).unwrap();
    let parts = SourceParts {
        journal_id: "a-journal".to_owned(),
        intake: Intake::new(Arc::new(Nowhere), watch::channel(Sequence::ZERO).1),
        outcomes: OutcomeRegistry::new(1),
        dup_windows: DupWindows::default(),
        sessions: SessionNote::default(),
        hosts: Hosts::default(),
        backfills: Backfills::default(),
        cursors_dir: "polled".into(),
        key: PrivacyKey::new("a key for tests only"),
    };
    let sources = all(&config, &secrets, &parts, &Statuses::default());
    Facts::of(&config, &sources)
}

const LISTENER: &str = "[ingest_http]\nlisten = \"127.0.0.1:0\"\n";

const DESK: &str = r#"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
token = { env = "DESK_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

const GARDEN: &str = r#"
[[source]]
id = "garden"
kind = "mqtt"
url = "mqtt://127.0.0.1:1883"
topics = ["garden/{device}"]
format = "json"
sensor_id = "{device}"
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;

const STREETS: &str = r#"
[[source]]
id = "streets"
kind = "telraam"
api_key = { env = "API_KEY" }
segments = [9000001463]
licence = "CC-BY-NC-4.0"
"#;

const SECRETS: [(&str, &str); 2] = [("DESK_TOKEN", "s3cret"), ("API_KEY", "a-key")];

/// Returns what differs: sources, then datasets, each as `+added ~changed -removed`.
fn between(before: &Facts, after: &Facts) -> (String, String) {
    let changes = Changes::between(before, after);
    assert_eq!(changes.properties, Difference::default());
    let said = |difference: &Difference| {
        let signed = |sign: &'static str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{sign}{name}")).collect()
        };
        let mut all = signed("+", &difference.added);
        all.extend(signed("~", &difference.changed));
        all.extend(signed("-", &difference.removed));
        all.join(" ")
    };
    let (sources, datasets) = (said(&changes.sources), said(&changes.datasets));
    assert_eq!(
        changes.is_empty(),
        sources.is_empty() && datasets.is_empty()
    );
    (sources, datasets)
}

#[test]
fn what_differs_is_named_and_the_rest_is_kept() {
    let text = format!("{LISTENER}{DESK}{GARDEN}{STREETS}");
    let before = facts(&text, &SECRETS);
    let check = |after: &str, sources: &str, datasets: &str| {
        let after = facts(after, &SECRETS);
        let expect = (sources.to_owned(), datasets.to_owned());
        assert_eq!(between(&before, &after), expect);
    };
    let changed = |from: &str, to: &str| {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        changed
    };
    check(&text, "", "");
    // Other lines, the same meaning.
    check(
        &format!("# moved\n\n{LISTENER}{STREETS}{GARDEN}{DESK}"),
        "",
        "",
    );
    check(&format!("{LISTENER}{DESK}{STREETS}"), "-garden", "");
    check(&changed("\"garden\"", "\"yard\""), "+yard -garden", "");
    // What messages mean, how they come, who may send them, how long nothing may come.
    check(&changed("/t", "/celsius"), "~desk ~garden", "");
    check(&changed("garden/{device}", "yard/{device}"), "~garden", "");
    check(&changed("9000001463", "9000001464"), "~streets", "");
    let silent = changed("id = \"desk\"", "id = \"desk\"\nsilent_after = \"1h\"");
    check(&silent, "~desk", "");
    let limited = changed(
        "id = \"desk\"",
        "id = \"desk\"\nrequests_per_second_max = 7",
    );
    check(&limited, "~desk", "");
    let kind = changed("kind = \"http\"", "kind = \"mqtt\"");
    let kind = kind.replace(
        "token = { env = \"DESK_TOKEN\" }",
        "url = \"mqtt://127.0.0.1\"\ntopics = [\"desk\"]",
    );
    check(&kind, "~desk", "");
    let licensed = format!("{text}[[dataset]]\nid = \"heat\"\nattribution = \"the city\"\n");
    // What is derived from it is attributed as it is.
    let derived = "~heat ~heat_daily ~heat_hourly ~heat_waves ~neighbourhood_hourly";
    check(&licensed, "", derived);
    let kept = format!("{text}[[dataset]]\nid = \"air\"\nretention = \"3650d\"\n");
    check(&kept, "", "~air");
}

#[test]
fn a_secret_that_is_another_makes_its_source_another() {
    let text = format!("{LISTENER}{DESK}{GARDEN}{STREETS}");
    let before = facts(&text, &SECRETS);
    let check = |secrets: [(&str, &str); 2], expect: &str| {
        let after = facts(&text, &secrets);
        assert_eq!(between(&before, &after).0, expect);
    };
    check(SECRETS, "");
    check([("DESK_TOKEN", "another"), SECRETS[1]], "~desk");
    check([SECRETS[0], ("API_KEY", "another")], "~streets");
}
