use super::*;

const NOW: i64 = 1_795_315_580_000_000; // 2026-11-22T02:46:20Z

#[test]
fn counts_have_thousands_marks() {
    fn check(count: u64, nl: &str, en: &str, fr: &str) {
        assert_eq!(super::count(count, Language::Nl), nl);
        assert_eq!(super::count(count, Language::En), en);
        assert_eq!(super::count(count, Language::Fr), fr);
    }
    check(0, "0", "0", "0");
    check(999, "999", "999", "999");
    check(1_000, "1.000", "1,000", "1\u{202f}000");
    check(
        2_134_567,
        "2.134.567",
        "2,134,567",
        "2\u{202f}134\u{202f}567",
    );
}

#[test]
fn values_have_few_decimals() {
    fn check(value: f64, nl: &str, en: &str) {
        assert_eq!(fixed(value, decimals(value), Language::Nl), nl);
        assert_eq!(fixed(value, decimals(value), Language::En), en);
    }
    check(12.0, "12", "12");
    check(-3.25, "\u{2212}3,2", "\u{2212}3.2");
    check(0.456, "0,46", "0.46");
    check(1013.25, "1013,2", "1013.2");
    check(1_234.0, "1234", "1234");
    check(70_500.0, "70.500", "70,500");
    check(-1_234_567.9, "\u{2212}1.234.567,9", "\u{2212}1,234,567.9");
    check(-0.0, "0", "0");
    check(-0.001, "0,00", "0.00");
    assert_eq!(fixed(10.0, 1, Language::Nl), "10,0");
    assert_eq!(fixed(-10.0, 2, Language::En), "\u{2212}10.00");
}

#[test]
fn units_are_printed_as_people_write_them() {
    fn check(ucum: &str, expect: &str) {
        assert_eq!(unit(ucum), expect);
    }
    check("1", "");
    check("Cel", "°C");
    check("ug/m3", "µg/m³");
    check("W/m2", "W/m²");
    check("dB[A]", "dB(A)");
    check("[ppm]", "ppm");
    check("%", "%");
    check("hPa", "hPa");
    check("{vehicles}", "vehicles");
}

#[test]
fn ages_are_rounded_and_agree_in_number() {
    fn check(seconds: i64, nl: &str, en: &str, fr: &str) {
        let then = NOW - seconds * SECOND_US;
        assert_eq!(ago(then, NOW, Language::Nl), nl);
        assert_eq!(ago(then, NOW, Language::En), en);
        assert_eq!(ago(then, NOW, Language::Fr), fr);
    }
    check(-89, "zojuist", "just now", "à l’instant");
    // A clock that is so far ahead does not say when something was.
    check(-90, "over 2 minuten", "in 2 minutes", "dans 2 minutes");
    check(
        -3_600,
        "over 60 minuten",
        "in 60 minutes",
        "dans 60 minutes",
    );
    check(-90_000, "over 25 uur", "in 25 hours", "dans 25 heures");
    check(2, "zojuist", "just now", "à l’instant");
    check(
        12,
        "12 seconden geleden",
        "12 seconds ago",
        "il y a 12 secondes",
    );
    check(90, "2 minuten geleden", "2 minutes ago", "il y a 2 minutes");
    check(3 * 3600, "3 uur geleden", "3 hours ago", "il y a 3 heures");
    check(
        86_400 * 3,
        "3 dagen geleden",
        "3 days ago",
        "il y a 3 jours",
    );
}

#[test]
fn times_are_local_and_the_date_is_left_out_today() {
    let zone = TimeZone::get("Europe/Brussels").expect("a bundled zone");
    let full = date_time(NOW, &zone, Language::Nl);
    assert_eq!(full.as_deref(), Some("22 november 2026, 03:46"));
    assert_eq!(
        date(NOW, &zone, Language::Fr).as_deref(),
        Some("22 novembre 2026")
    );
    assert_eq!(
        clock(NOW, NOW, &zone, Language::En).as_deref(),
        Some("03:46:20")
    );
    let yesterday = NOW - 86_400 * SECOND_US;
    assert_eq!(
        clock(yesterday, NOW, &zone, Language::En).as_deref(),
        Some("21 November, 03:46")
    );
    let last_year = NOW - 400 * 86_400 * SECOND_US;
    assert_eq!(
        clock(last_year, NOW, &zone, Language::Nl).as_deref(),
        Some("18 oktober 2025, 04:46")
    );
    assert_eq!(date_time(i64::MAX, &zone, Language::En), None);
}

#[test]
fn a_day_is_written_as_the_language_does() {
    let check = |micros: i64, nl: &str, en: &str, fr: &str| {
        let said = Language::ALL.map(|language| date(micros, &TimeZone::UTC, language));
        assert_eq!(said, [nl, en, fr].map(|text| Some(text.to_owned())));
    };
    let first = NOW - 21 * 86_400 * SECOND_US;
    check(
        first,
        "1 november 2026",
        "1 November 2026",
        "1er novembre 2026",
    );
    let eleventh = first + 10 * 86_400 * SECOND_US;
    check(
        eleventh,
        "11 november 2026",
        "11 November 2026",
        "11 novembre 2026",
    );
    let told = clock(first, NOW, &TimeZone::UTC, Language::Fr);
    assert_eq!(told.as_deref(), Some("1er novembre, 02:46"));
}

#[test]
fn bounds_and_sizes_are_numbers_of_the_language() {
    fn check(value: f64, nl: &str, en: &str, fr: &str) {
        assert_eq!(
            Language::ALL.map(|language| exact(value, language)),
            [nl, en, fr]
        );
    }
    check(0.0, "0", "0", "0");
    check(-30.0, "\u{2212}30", "\u{2212}30", "\u{2212}30");
    check(0.125, "0,125", "0.125", "0,125");
    check(1_080.0, "1080", "1080", "1080");
    check(
        31_622_400.0,
        "31.622.400",
        "31,622,400",
        "31\u{202f}622\u{202f}400",
    );
    let sizes = Language::ALL.map(|language| kilobytes(1_234_001, language));
    assert_eq!(sizes, ["1.235 kB", "1,235 kB", "1\u{202f}235 ko"]);
}

#[test]
fn a_list_shows_the_first_sentence() {
    assert_eq!(
        first_sentence("A station measures. It sends."),
        "A station measures."
    );
    assert_eq!(first_sentence(" Only 1.5 m high "), "Only 1.5 m high");
    assert_eq!(first_sentence("One.\nTwo."), "One.");
}

#[test]
fn intervals_are_words() {
    fn check(seconds: i64, nl: [&str; 2], en: [&str; 2], fr: [&str; 2]) {
        for (language, expect) in [Language::Nl, Language::En, Language::Fr]
            .into_iter()
            .zip([nl, en, fr])
        {
            let said = [per(seconds, language), over(seconds, language)];
            assert_eq!(said, expect, "{seconds}");
        }
    }
    check(
        900,
        ["per kwartier", "over een kwartier"],
        ["per quarter of an hour", "over a quarter of an hour"],
        ["par quart d’heure", "sur un quart d’heure"],
    );
    check(
        3_600,
        ["per uur", "over een uur"],
        ["per hour", "over an hour"],
        ["par heure", "sur une heure"],
    );
    check(
        86_400,
        ["per dag", "over een dag"],
        ["per day", "over a day"],
        ["par jour", "sur un jour"],
    );
    check(
        300,
        ["per 5 minuten", "over 5 minuten"],
        ["per 5 minutes", "over 5 minutes"],
        ["par 5 minutes", "sur 5 minutes"],
    );
    check(
        28_800,
        ["per 8 uur", "over 8 uur"],
        ["per 8 hours", "over 8 hours"],
        ["par 8 heures", "sur 8 heures"],
    );
    check(
        145,
        ["per 145 seconden", "over 145 seconden"],
        ["per 145 seconds", "over 145 seconds"],
        ["par 145 secondes", "sur 145 secondes"],
    );
}

#[test]
fn values_are_rounded_and_keep_no_zeros() {
    fn check(value: f64, decimals: usize, expect: &str) {
        assert_eq!(rounded(value, decimals, Language::Nl), expect);
    }
    check(14.157_499_999_999_999, 2, "14,16");
    check(47.5, 2, "47,5");
    check(100.0, 2, "100");
    check(-0.001, 2, "0");
    check(50.879_81, 5, "50,87981");
    check(12_345.678, 0, "12.346");
}

#[test]
fn an_hour_that_comes_twice_says_which_one_it_is() {
    let zone = TimeZone::get("Europe/Brussels").unwrap();
    // 02:30 on 25 October 2026, in summer time and an hour later in winter time.
    let first = 1_792_888_200_000_000;
    let second = first + 3_600_000_000;
    let told = |micros| date_time(micros, &zone, Language::En).unwrap();
    assert_eq!(told(first), "25 October 2026, 02:30 (+02:00)");
    assert_eq!(told(second), "25 October 2026, 02:30 (+01:00)");
    assert_eq!(told(second + 3_600_000_000), "25 October 2026, 03:30");
    let clock = |micros| clock(micros, second, &zone, Language::En).unwrap();
    assert_eq!(clock(first), "02:30:00 (+02:00)");
    // No hour is doubled in spring: 29 March 2026, 03:30.
    assert_eq!(told(1_774_747_800_000_000), "29 March 2026, 03:30");
}
