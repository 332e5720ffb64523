use super::*;

const HEAT_WAVE: RunRule = RunRule {
    of: 0,
    at_least: 25.0,
    length_min: 5,
    peak: 30.0,
    peaks_min: 3,
    length_max: 62,
};

/// One letter per day: `.` below 25, `w` from 25, `h` from 30, `-` no value, a space: no such day. Returns `x` for days in a run,
/// `.` for others, `-` for days that nobody knows.
fn runs(rule: &RunRule, days: &str) -> String {
    let mut buckets = Buckets::default();
    for (start, day) in (0..).zip(days.chars()) {
        let value = match day {
            'w' => 25.0,
            'h' => 30.0,
            '.' => 24.9,
            _ => continue,
        };
        // Two values of a day: the greatest counts, in whichever order.
        buckets.add(start, start + 1, -5.0);
        buckets.add(start, start + 1, value);
        buckets.add(start, start + 1, 24.0);
    }
    let of_day = |start: i64| match buckets.is_in_run(rule, start) {
        Some(true) => 'x',
        Some(false) => '.',
        None => '-',
    };
    (0..)
        .zip(days.chars())
        .map(|(start, _)| of_day(start))
        .collect()
}

#[test]
fn a_heat_wave_has_five_warm_days_and_three_hot_ones() {
    let check = |days: &str, expect: &str| assert_eq!(runs(&HEAT_WAVE, days), expect, "{days}");
    check("", "");
    check("hhhh", "....");
    check("hhhhh", "xxxxx");
    check(".whhhw.", ".xxxxx.");
    // Two hot days are not enough, however long it stays warm; three anywhere are.
    check("hwwwwwwh", "........");
    check("hwwhwwh", "xxxxxxx");
    // A cooler day, a day without a value and a day that is not there end it.
    check("hhh.whhh", "........");
    check("whhhw-hhhhh", "xxxxx-xxxxx");
    check("whh-hww", "...-...");
    check("whhhw.whhhw", "xxxxx.xxxxx");
}

#[test]
fn what_lies_further_away_than_the_longest_stretch_does_not_count() {
    let rule = RunRule {
        length_max: 6,
        ..HEAT_WAVE
    };
    // The last day is in no stretch of six with three hot days.
    assert_eq!(runs(&rule, "hhhwwww"), "xxxxxx.");
    assert_eq!(runs(&rule, "wwwwhhh"), ".xxxxxx");
    assert_eq!(runs(&rule, "hwhwhwhwhwh"), "xxxxxxxxxxx");
    // Any stretch of as many days may hold them.
    assert_eq!(runs(&rule, "wwwhhhwww"), "xxxxxxxxx");
}

#[test]
fn every_run_is_what_looking_at_all_stretches_finds() {
    // Every week of cool, warm and hot days.
    for number in 0..3_u32.pow(7) {
        let days: String = (0..7)
            .map(|day| ['.', 'w', 'h'][(number / 3_u32.pow(day) % 3) as usize])
            .collect();
        let rule = RunRule {
            length_min: 3,
            peaks_min: 2,
            length_max: 4,
            ..HEAT_WAVE
        };
        let letters: Vec<char> = days.chars().collect();
        let mut expect = ['.'; 7];
        for from in 0..7_usize {
            for to in from + 3..=(from + 4).min(7) {
                let stretch = &letters[from..to];
                let hot = stretch.iter().filter(|day| **day == 'h').count();
                if hot >= 2 && !stretch.contains(&'.') {
                    expect[from..to].fill('x');
                }
            }
        }
        assert_eq!(
            runs(&rule, &days),
            expect.iter().collect::<String>(),
            "{days}"
        );
    }
}
