use super::heat_index;

/// Checks against the table of the National Weather Service, which is in whole degF.
fn check_table(fahrenheit: f64, humidity: f64, expected: f64) {
    let found = heat_index((fahrenheit - 32.0) / 1.8, humidity).unwrap() * 1.8 + 32.0;
    assert!(
        (found - expected).abs() < 1.0,
        "{fahrenheit} degF, {humidity} %: {found}"
    );
}

#[test]
fn the_index_is_that_of_the_weather_service() {
    check_table(80.0, 40.0, 80.0);
    check_table(88.0, 60.0, 95.0);
    check_table(90.0, 70.0, 105.0);
    check_table(96.0, 50.0, 108.0);
    check_table(100.0, 40.0, 109.0);
    check_table(110.0, 40.0, 136.0);
    check_table(86.0, 90.0, 105.0);
}

/// Checks against the formula done by hand, with its adjustment or the simple formula.
fn check(celsius: f64, humidity: f64, expected: f64) {
    let found = heat_index(celsius, humidity).unwrap();
    assert!(
        (found - expected).abs() < 1e-4,
        "{celsius} Cel, {humidity} %: {found}"
    );
}

#[test]
fn the_formulas_change_where_the_weather_service_says() {
    check(20.0, 50.0, 19.680_56);
    check(35.0, 10.0, 31.916_44);
    check(28.0, 90.0, 34.003_20);
}

#[test]
fn impossible_weather_feels_like_nothing() {
    for (celsius, humidity) in [
        (f64::NAN, 50.0),
        (f64::INFINITY, 50.0),
        (30.0, f64::NAN),
        (30.0, -1.0),
        (30.0, 100.1),
    ] {
        assert_eq!(heat_index(celsius, humidity), None, "{celsius} {humidity}");
    }
}
