use super::*;

/// 2026-06-08 00:00 UTC, a Monday.
const MONDAY_S: i64 = 1_780_876_800;

fn segment(road: Road, hardware: Hardware) -> Segment {
    let line = [(4.70, 50.88), (4.701, 50.881)];
    let mut segment = Segment::new(
        9_000_001_001,
        "Lindedreef".to_owned(),
        road,
        line,
        Noise::new(11),
    );
    segment.hardware = hardware;
    segment.scale = 1.0;
    segment
}

fn day(segment: &Segment, start_s: i64) -> Vec<QuarterCount> {
    let noise = Noise::new(4);
    (0..96)
        .map(|q| segment.quarter(&Sky::at(noise, start_s + q * QUARTER_S)))
        .collect()
}

fn sum(quarters: &[QuarterCount], mode: Mode) -> u32 {
    quarters.iter().flat_map(|q| q.counts[mode as usize]).sum()
}

#[test]
fn a_day_has_about_the_declared_volume() {
    for (road, cars) in [(Road::Arterial, 9_200.0), (Road::Residential, 1_150.0)] {
        let quarters = day(&segment(road, Hardware::S2), MONDAY_S);
        let seen = f64::from(sum(&quarters, Mode::Car)) + f64::from(sum(&quarters, Mode::Night));
        assert!(
            (0.7..1.4).contains(&(seen / cars)),
            "{road:?}: {seen} of {cars}"
        );
    }
}

#[test]
fn a_v1_counter_is_down_in_the_dark_and_knows_no_night() {
    let quarters = day(&segment(Road::Arterial, Hardware::V1), MONDAY_S);
    assert_eq!(quarters[0].seconds_up, 0);
    assert_eq!(quarters[0].extrapolated(Mode::Car), [0.0, 0.0]);
    assert!(quarters[48].uptime() > 0.7);
    assert_eq!(sum(&quarters, Mode::Night), 0);
}

#[test]
fn a_schoolyard_is_quiet_on_sunday() {
    let school = segment(Road::School, Hardware::S2);
    let (monday, sunday) = (day(&school, MONDAY_S), day(&school, MONDAY_S - 86_400));
    let morning = |quarters: &[QuarterCount]| sum(&quarters[24..28], Mode::Bike);
    assert!(morning(&monday) > 8 * morning(&sunday).max(1));
}

#[test]
fn counts_are_extrapolated_for_uptime() {
    let mut quarter = QuarterCount {
        interval_s: 900,
        seconds_up: 300,
        counts: [[7, 0], [0, 0], [1, 2], [0, 0], [0, 0]],
        speed_level: 2,
    };
    assert_eq!(quarter.extrapolated(Mode::Car), [21.0, 0.0]);
    assert_eq!(quarter.uptime(), 0.333_333_333_3);
    quarter.merge(&quarter.clone());
    assert_eq!(
        (quarter.interval_s, quarter.seconds_up, quarter.counts[2]),
        (1_800, 600, [2, 4])
    );
}

#[test]
fn speeds_sum_to_exactly_a_hundred() {
    for road in [Road::Shopping, Road::Rural, Road::Arterial] {
        let segment = segment(road, Hardware::S2);
        for (bins, v85) in segment.histograms.iter().zip(&segment.v85) {
            let hundredths: i64 = bins.iter().map(|bin| (bin * 100.0).round() as i64).sum();
            assert_eq!(hundredths, 10_000);
            assert!(bins.iter().all(|bin| *bin >= 0.0));
            assert!(
                (road.speed() * 0.7..road.speed() * 1.8).contains(v85),
                "{road:?} {v85}"
            );
        }
    }
}

#[test]
fn draws_have_the_asked_mean() {
    let chance = Noise::new(9);
    for mean in [0.0, 0.3, 4.0, 11.0, 40.0] {
        let n = 20_000;
        let total: u64 = (0..n).map(|i| u64::from(draw(mean, chance, i))).sum();
        let got = total as f64 / n as f64;
        assert!(
            (got - mean).abs() <= 0.03 * mean + 0.01,
            "{got} instead of {mean}"
        );
    }
}
