use meetnet_ingest::pipeline::EraseReport;

use super::*;

fn named(hardware_ids: &[&str], source: Option<&str>) -> Named {
    Named {
        sensors: vec!["garden-porch".to_owned()],
        segments: vec![9_000_001_463],
        hardware_ids: hardware_ids.iter().map(|&id| id.to_owned()).collect(),
        source: source.map(SourceId::new),
    }
}

#[test]
fn a_device_is_known_by_its_source() {
    let request = named(&["4711"], Some("boxes")).request().unwrap();
    assert_eq!(
        request.devices,
        [("boxes".into(), "4711".to_owned())].into()
    );
    assert!(named(&["4711"], None).request().is_err());
    assert!(named(&[], None).request().unwrap().devices.is_empty());
}

#[test]
fn who_asks_is_told_what_will_go() {
    let told = named(&["4711"], Some("boxes")).announce();
    let subjects = "To be erased:\n  sensor garden-porch\n  segment 9000001463\n  device 4711 of source boxes\n";
    assert!(told.starts_with(subjects), "{told}");
    assert!(told.contains("raw messages") && told.ends_with("This cannot be undone."));
    // Without a name there is nothing to ask for.
    assert!(Named::default().confirm(true).is_err());
}

#[test]
fn of_several_each_is_told_and_one_that_is_nowhere_is_no_success() {
    let named = named(&["4711"], Some("boxes"));
    let mut report = EraseReport::default();
    let told = |report: &EraseReport| {
        let outcome = outcome(&named, report);
        (outcome.remark, outcome.in_vain)
    };
    (report.tables.rows, report.frames.frames) = (3, 1);
    assert_eq!(told(&report), (None, None), "all of it was there");
    report.missing.segment_ids = [9_000_001_463].into();
    report.missing.devices = [("boxes".into(), "4711".to_owned())].into();
    let (remark, in_vain) = told(&report);
    let remark = remark.unwrap();
    let lines: Vec<&str> = remark.lines().collect();
    assert_eq!(lines[0], "sensor garden-porch: erased");
    assert!(
        lines[1].starts_with("segment 9000001463: not found"),
        "{remark}"
    );
    assert!(lines[2].starts_with("device 4711: not found"), "{remark}");
    let in_vain = in_vain.unwrap();
    assert!(in_vain.contains("hold 2 of what was named"), "{in_vain}");
    // The log gets what is reported, and no name.
    let logged = outcome(&named, &report).report;
    assert!(!logged.contains("garden-porch") && !logged.contains("4711"));
    // None of them: as ever.
    (report.tables.rows, report.frames.frames) = (0, 0);
    let (remark, in_vain) = told(&report);
    assert_eq!(remark, None);
    assert!(in_vain.unwrap().starts_with("nothing was erased"));
}

#[test]
fn a_report_says_what_went_and_names_nobody() {
    let nothing = describe(&EraseReport::default());
    assert!(nothing.starts_with("nothing was found"), "{nothing}");
    assert!(!nothing.contains("backups"), "{nothing}");
    assert!(!found_anything(&EraseReport::default()));
    let mut report = EraseReport {
        datasets: [("air".into(), 3)].into(),
        mixed_frames: 1,
        ..EraseReport::default()
    };
    (report.tables.rows, report.tables.files) = (3, 2);
    (report.frames.frames, report.frames.unreadable_files) = (1, 1);
    assert!(found_anything(&report));
    assert_eq!(
        describe(&report),
        "erased 3 rows (air 3) and the content of 1 raw message\n\
         2 files written again, 0 replaced files removed\n\
         1 raw message also held rows of others: those stay in their tables, and cannot be decoded again\n\
         1 file or damaged part that nobody could read went as well\n\
         backups that were made before still hold what was erased"
    );
    // Rows that come again are not among those that went for good.
    report.whole_datasets = [("neighbourhood_hourly".into(), 1_250)].into();
    report.tables.rows += 1_250;
    let told = describe(&report);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "erased 3 rows (air 3) and the content of 1 raw message",
            "1,250 rows (neighbourhood_hourly 1,250) of others and of several went as well, because they tell something of what \
             was named: they are derived anew without it",
        ]
    );
    report.datasets.clear();
    let told = describe(&report);
    assert!(
        told.starts_with("erased 0 rows and the content of 1 raw message\n"),
        "{told}"
    );
}
