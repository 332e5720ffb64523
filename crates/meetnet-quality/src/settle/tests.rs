use meetnet_model::quality::{Quality, Variation};

use super::*;

fn tests(flat_s: u32, period_s: u32) -> WholeTests {
    let declared = PropertyTests {
        rate_of_change: Some(RateOfChange {
            suspect_per_hour: 60.0,
            fail_per_hour: None,
            distance_min_s: None,
        }),
        flat_line: Some(FlatLine {
            tolerance: 0.5,
            suspect_s: flat_s,
            fail_s: flat_s,
        }),
        attenuated_signal: Some(AttenuatedSignal {
            variation: Variation::Range,
            period_s,
            observations_min: 2,
            span_min_s: None,
            suspect: 0.5,
            fail: 0.0,
        }),
        spike: Some(Spike {
            suspect: 3.0,
            fail: None,
        }),
        ..PropertyTests::default()
    };
    WholeTests::new(&declared).unwrap()
}

#[test]
fn the_flags_of_a_part_are_those_of_the_whole_series() {
    let values = [1.0, 1.0, 1.0, 9.0, 1.0, 2.0, f64::NAN, 2.0, 2.0, 2.0, 40.0];
    let times = (0..).map(|number| number * 600 * SECOND_US);
    let series: Vec<Observation> = times
        .zip(values)
        .map(|(time, value)| Observation { time, value })
        .collect();
    let tests = tests(1_200, 1_800);
    let whole = tests.flags(&series, 0..series.len());
    let by_test =
        |of: fn(&SeriesFlags) -> Quality| -> Vec<Quality> { whole.iter().map(of).collect() };
    let limits = (tests.rate_of_change, tests.flat_line);
    let (Some(rate), Some(flat)) = limits else {
        panic!("{limits:?}")
    };
    let (Some(signal), Some(spike)) = (tests.attenuated_signal, tests.spike) else {
        panic!("{tests:?}")
    };
    assert_eq!(
        by_test(|f| f.rate_of_change),
        batch::rate_of_change(&series, rate)
    );
    assert_eq!(by_test(|f| f.flat_line), batch::flat_line(&series, flat));
    let attenuated = batch::attenuated_signal(&series, signal);
    assert_eq!(by_test(|f| f.attenuated_signal), attenuated);
    assert_eq!(by_test(|f| f.spike), batch::spike(&series, spike));
    assert_eq!(whole[3].spike, Quality::Suspect);
    assert_eq!(whole[9].flat_line, Quality::Fail);
    // What comes after the part counts, too: the spike at its end is seen.
    assert_eq!(tests.flags(&series, 2..4), whole[2..4]);
}

#[test]
fn a_series_reaches_back_twice_its_longest_period() {
    let check = |flat_s, period_s, expect_s: i64| {
        assert_eq!(tests(flat_s, period_s).reach_us(), expect_s * SECOND_US);
    };
    check(600, 600, 86_400);
    check(86_400, 600, 2 * 86_400);
    check(600, 3 * 86_400, 6 * 86_400);
    assert_eq!(WholeTests::new(&PropertyTests::default()), None);
}
