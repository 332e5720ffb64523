use super::*;

#[test]
fn a_bucket_is_close_to_what_is_in_it() {
    let mut last = 0;
    for micros in (0..2_000).chain([65_535, 65_536, 1 << 40, u64::MAX]) {
        let bucket = bucket(micros);
        assert!(bucket >= last, "{micros}");
        last = bucket;
        let end = end_of(bucket);
        assert!(end >= micros, "{micros}: {end}");
        assert!(end - micros <= micros / 16, "{micros}: {end}");
    }
}

#[test]
fn shares_of_latencies_are_found() {
    let mut latencies = Latencies::default();
    assert_eq!(latencies.within(0.5), None);
    for millis in 1..=100 {
        latencies.add(Duration::from_millis(millis));
    }
    let within = |share| latencies.within(share).expect("some").as_secs_f64() * 1e3;
    assert!((50.0..=54.0).contains(&within(0.5)), "{}", within(0.5));
    assert!((99.0..=106.0).contains(&within(0.99)), "{}", within(0.99));
    assert!(within(0.0) < 1.1, "{}", within(0.0));
}

#[test]
fn a_schedule_waits_for_nobody() {
    let began = Instant::now();
    let pace = |per_second| Pace {
        per_second,
        outstanding_max: 1,
    };
    assert_eq!(pace(None).due(began, 7), None);
    let due = pace(Some(100.0)).due(began, 250);
    assert_eq!(due, Some(began + Duration::from_millis(2_500)));
}
