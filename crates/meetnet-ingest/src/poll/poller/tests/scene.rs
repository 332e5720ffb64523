//! What these tests begin with: a server with rows of road segments, a clock, a journal in memory, a poller.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meetnet_model::ids::SourceId;
use meetnet_model::time::{format_rfc3339, parse_rfc3339};
use meetnet_testkit::clock::ManualClock;
use serde_json::Value;
use tempfile::TempDir;

use crate::intake::memory::{MemorySink, Taken};
use crate::poll::mock::{MockServer, Reply, Seen};
use crate::poll::poller::{Poller, Turn};
use crate::poll::{
    Api, Backfills, HostLimits, Hosts, PollOptions, PollSource, Polling, TelraamOptions,
};
use crate::status::{SourceStatus, Statuses};

pub(super) const SOURCE: &str = "telraam";
pub(super) const KEY: &str = "a-key-of-the-city";

/// Rows of road segments by number and time, and what goes wrong next.
#[derive(Clone, Default)]
pub(super) struct Telraam {
    rows: Arc<Mutex<BTreeMap<(String, String), Value>>>,
    faults: Arc<Mutex<Vec<Reply>>>,
    behind_links: Arc<Mutex<BTreeMap<String, String>>>,
    broken: Arc<Mutex<BTreeMap<String, Reply>>>,
}

impl Telraam {
    pub(super) fn insert(&self, row: Value) {
        let segment = row["segment_id"].to_string();
        let date = row["date"].as_str().unwrap().to_owned();
        self.rows.lock().unwrap().insert((segment, date), row);
    }

    /// Fills in quiet rows, one per hour.
    pub(super) fn quiet(&self, segment: i64, from: &str, hours: i64) {
        let from = parse_rfc3339(from).unwrap();
        for hour in 0..hours {
            let date = format_rfc3339(from + hour * 3_600_000_000).replace('Z', ".000Z");
            self.insert(serde_json::json!({
                "instance_id": -1, "segment_id": segment, "date": date, "interval": "hourly",
                "uptime": 0.9, "car": hour, "heavy": 0, "bike": 1, "pedestrian": 2.5,
            }));
        }
    }

    /// The next request gets this instead of its rows.
    pub(super) fn fail_next(&self, reply: Reply) {
        self.faults.lock().unwrap().insert(0, reply);
    }

    /// Whatever is asked of a segment, this is the answer.
    pub(super) fn breaks(&self, segment: i64, reply: Reply) {
        let mut broken = self.broken.lock().unwrap();
        broken.insert(segment.to_string(), reply);
    }

    /// Whatever is asked of a segment in a window that begins at this time, this is the answer.
    pub(super) fn breaks_from(&self, segment: i64, from: &str, reply: Reply) {
        let mut broken = self.broken.lock().unwrap();
        broken.insert(format!("{segment} {from}"), reply);
    }

    /// All segments answer with their rows.
    pub(super) fn mends(&self) {
        self.broken.lock().unwrap().clear();
    }

    /// What lies at a path, for whoever has the address.
    pub(super) fn lies_at(&self, path: &str, body: &str) {
        let mut links = self.behind_links.lock().unwrap();
        links.insert(path.to_owned(), body.to_owned());
    }

    pub(super) fn answer(&self, seen: &Seen, now: i64) -> Reply {
        if let Some(body) = self.behind_links.lock().unwrap().get(&seen.path) {
            return Reply::new(200, body.clone());
        }
        if let Some(fault) = self.faults.lock().unwrap().pop() {
            return fault;
        }
        if seen.header("x-api-key") != Some(KEY) {
            return Reply::new(403, r#"{"message":"Forbidden"}"#);
        }
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("POST", "/v1/reports/traffic")
        );
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        let time = |name: &str| {
            let text = asked[name].as_str().unwrap().replace(' ', "T");
            parse_rfc3339(&text).unwrap()
        };
        let (start, end) = (time("time_start"), time("time_end"));
        assert!(
            end - start <= 92 * 86_400_000_000,
            "more than three months: {asked}"
        );
        let id = asked["id"].as_str().unwrap();
        let of_window = format!("{id} {}", format_rfc3339(start));
        for broken in [id, &of_window] {
            if let Some(reply) = self.broken.lock().unwrap().get(broken) {
                return reply.clone();
            }
        }
        let rows = self.rows.lock().unwrap();
        // Without the `Z` a second sorts before its fractions.
        let key = |at: i64| (id.to_owned(), format_rfc3339(at).replace('Z', ""));
        let report: Vec<&Value> = rows
            .range(key(start)..key(end))
            .filter(|((_, date), _)| {
                // An hour is served a quarter of an hour after its end.
                parse_rfc3339(date).unwrap() + 4_500_000_000 <= now
            })
            .map(|(_, row)| row)
            .collect();
        let body = serde_json::json!({"status_code": 200, "message": "ok", "report": report});
        Reply::new(200, body.to_string())
    }
}

pub(super) struct Scene {
    pub(super) telraam: Telraam,
    pub(super) server: MockServer,
    pub(super) clock: ManualClock,
    pub(super) sink: Arc<MemorySink>,
    pub(super) statuses: Statuses,
    pub(super) options: PollOptions,
    pub(super) backfills: Backfills,
    intake: crate::Intake,
    hosts: Hosts,
    folder: TempDir,
}

impl Scene {
    /// Begins at `now` with a journal that syncs at once, or when the test says so.
    pub(super) async fn new(now: &str, segments: &[i64], auto_sync: bool) -> Self {
        let telraam = Telraam::default();
        let clock = ManualClock::new(parse_rfc3339(now).unwrap());
        let server = {
            let (telraam, clock) = (telraam.clone(), clock.clone());
            MockServer::start(move |seen| telraam.answer(seen, clock.now())).await
        };
        let api = Api::Telraam(TelraamOptions {
            segments: segments.to_vec(),
            advanced: false,
            geometry: false,
        });
        let mut options = PollOptions::new(api, &server.url).unwrap();
        options.limits = HostLimits {
            pause: Duration::ZERO,
            requests_per_day_max: None,
        };
        let (sink, intake) = MemorySink::new(auto_sync);
        Self {
            telraam,
            server,
            clock,
            sink,
            statuses: Statuses::default(),
            options,
            backfills: Backfills::default(),
            intake,
            hosts: Hosts::default(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn source(&self) -> PollSource {
        PollSource {
            id: SourceId::new(SOURCE),
            options: self.options.clone(),
            api_key: Some(KEY.to_owned()),
            intake: self.intake.clone(),
            statuses: self.statuses.clone(),
            hosts: self.hosts.clone(),
            backfills: self.backfills.clone(),
            cursors_dir: self.folder.path().to_owned(),
            journal_id: "a-journal".to_owned(),
        }
    }

    /// A poller, as one that is started now.
    pub(super) fn poller(&self) -> Poller {
        Poller::new(self.source(), Polling::Live, self.clock.function()).unwrap()
    }

    /// Ends the process's memory of what hosts were asked.
    pub(super) fn forget_hosts(&mut self) {
        self.hosts = Hosts::default();
    }

    /// Where cursors are saved.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn cursor_file(&self) -> PathBuf {
        self.folder.path().join(format!("{SOURCE}.json"))
    }

    /// Asks until there is nothing to ask now; returns until when it waits.
    pub(super) async fn settle(&self, poller: &mut Poller) -> i64 {
        for _ in 0..1_000 {
            if let Turn::Wait(until) = poller.turn().await {
                return until;
            }
        }
        panic!("it never rests");
    }

    /// Asks for everything that comes due until `end`.
    pub(super) async fn run_until(&self, poller: &mut Poller, end: &str) {
        let end = parse_rfc3339(end).unwrap();
        while self.clock.now() < end {
            let until = self.settle(poller).await;
            self.clock.set(until.min(end));
        }
    }

    pub(super) fn status(&self) -> SourceStatus {
        self.statuses.read_one(&SourceId::new(SOURCE)).unwrap()
    }

    pub(super) fn last_error(&self) -> String {
        self.status()
            .last_error
            .map_or_else(String::new, |note| note.message)
    }

    /// Returns the windows that were journalled, with the target.
    pub(super) fn journalled(&self) -> Vec<String> {
        self.sink.taken().iter().map(window_of).collect()
    }
}

fn window_of(taken: &Taken) -> String {
    let meta = |name: &str| {
        let mut all = taken.meta.iter();
        all.find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
            .to_owned()
    };
    format!("{} {}", meta("target"), meta("window"))
}
