use super::*;

#[test]
fn ready_needs_journal_history_and_every_first_subscription() {
    let (lora, balcony) = (SourceId::new("lora"), SourceId::new("balcony"));
    let readiness = Readiness::new([lora.clone(), balcony.clone()]);
    assert!(!readiness.report().ready);
    readiness.journal_replayed();
    readiness.history_loaded();
    readiness.subscribed(&lora);
    assert!(!readiness.report().ready, "balcony has not subscribed");
    readiness.subscribed(&balcony);
    assert!(readiness.report().ready);
}

#[test]
fn a_broker_that_never_answers_is_waited_for_only_so_long() {
    let readiness = Readiness::with_subscribe_wait([SourceId::new("lora")], Duration::ZERO);
    assert!(
        !readiness.report().ready,
        "the journal is waited for without limit"
    );
    readiness.journal_replayed();
    readiness.history_loaded();
    assert!(readiness.report().ready);
}

#[test]
fn a_later_outage_is_detail() {
    let lora = SourceId::new("lora");
    let readiness = Readiness::new([lora.clone()]);
    readiness.journal_replayed();
    readiness.history_loaded();
    readiness.subscribed(&lora);
    readiness.disconnected(&lora);
    readiness.journal_disk_full(true);
    readiness.disks_low(vec!["journal"]);
    readiness.silent(vec![lora.clone()]);
    readiness.failing(BTreeMap::from([(SourceId::new("streets"), 2)]));
    assert!(!readiness.report().no_sources);
    readiness.no_sources(true);
    let report = readiness.report();
    assert!(report.ready && report.journal_disk_full && report.no_sources);
    assert_eq!(report.disks_low, ["journal"]);
    assert_eq!(report.silent_sources, std::slice::from_ref(&lora));
    assert_eq!(report.failing_targets[&SourceId::new("streets")], 2);
    assert_eq!(
        report.sources[&lora],
        BrokerReport {
            subscribed: true,
            connected: false
        }
    );
}

#[test]
fn a_source_that_comes_later_is_not_waited_for_and_one_that_goes_is_forgotten() {
    let (lora, balcony) = (SourceId::new("lora"), SourceId::new("balcony"));
    let readiness = Readiness::new([lora.clone()]);
    readiness.journal_replayed();
    readiness.history_loaded();
    readiness.subscribed(&lora);
    assert!(readiness.report().ready);
    readiness.disconnected(&balcony);
    let report = readiness.report();
    assert!(report.ready && !report.sources[&balcony].subscribed);
    readiness.forget(&balcony);
    assert_eq!(readiness.report().sources.len(), 1);
}

#[test]
fn a_refused_configuration_is_detail_and_its_message_is_not_for_the_public() {
    let readiness = Readiness::new([]);
    readiness.journal_replayed();
    readiness.history_loaded();
    readiness.config_error(Some("meetnet.toml:7: unknown key".to_owned()));
    let report = readiness.report();
    assert!(report.ready && report.config_refused);
    let body = serde_json::to_string(&report).unwrap();
    assert!(!body.contains("meetnet.toml"), "{body}");
    readiness.config_error(None);
    assert!(!readiness.report().config_refused);
}

#[test]
fn a_lake_that_cannot_be_followed_is_detail_too() {
    let readiness = Readiness::new([]);
    readiness.journal_replayed();
    readiness.history_loaded();
    assert_eq!(readiness.report().lake_reachable, None);
    readiness.lake_reachable(false);
    let report = readiness.report();
    assert!(report.ready, "answers are from the last snapshot");
    assert_eq!(report.lake_reachable, Some(false));
}

#[test]
fn a_replay_says_how_far_it_has_come_until_messages_are_taken() {
    let readiness = Readiness::with_subscribe_wait([SourceId::new("lora")], Duration::ZERO);
    readiness.history_loaded();
    let report = readiness.report();
    assert!(!report.ready && report.replaying.is_none());
    let replay = |frames| ReplayReport {
        frames,
        frames_total: 9,
    };
    for frames in [0, 4] {
        readiness.replaying(replay(frames));
        let report = readiness.report();
        // However long it takes: the wait for subscriptions has not begun.
        assert!(!report.ready && !report.journal_replayed);
        assert_eq!(report.replaying, Some(replay(frames)));
    }
    let body = serde_json::to_value(readiness.report()).unwrap();
    let expect = serde_json::json!({ "frames": 4, "frames_total": 9 });
    assert_eq!(body["replaying"], expect);
    readiness.journal_replayed();
    // Whoever looked before that may come too late.
    readiness.replaying(replay(8));
    let report = readiness.report();
    assert!(report.ready && report.journal_replayed);
    assert_eq!(report.replaying, None);
}

#[test]
fn subscriptions_are_waited_for_from_when_sources_have_been_started() {
    let wait = Duration::from_millis(200);
    let readiness = Readiness::with_subscribe_wait([SourceId::new("lora")], wait);
    readiness.history_loaded();
    // A replay takes longer than the wait.
    std::thread::sleep(wait);
    let started = Instant::now();
    readiness.journal_replayed();
    while !readiness.report().ready {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(started.elapsed() >= wait);
}
