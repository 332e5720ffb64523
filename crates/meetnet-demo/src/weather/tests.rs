use super::*;

/// 2025-11-22 00:00 UTC.
const START_S: i64 = 1_763_769_600;

fn year(seed: u64) -> Vec<Sky> {
    let noise = Noise::new(seed);
    (0..8_760)
        .map(|hour| Sky::at(noise, START_S + hour * HOUR_S))
        .collect()
}

fn mean(skies: &[Sky], value: impl Fn(&Sky) -> f64) -> f64 {
    skies.iter().map(value).sum::<f64>() / skies.len() as f64
}

#[test]
fn a_year_looks_like_central_belgium() {
    for seed in [1, 2, 20_260] {
        let skies = year(seed);
        let temperature = mean(&skies, |s| s.weather.temperature);
        assert!(
            (9.5..12.5).contains(&temperature),
            "seed {seed}: mean temperature {temperature}"
        );
        let rain_mm: f64 = skies.iter().map(|s| s.weather.rain_rate).sum();
        assert!(
            (450.0..1_250.0).contains(&rain_mm),
            "seed {seed}: rain {rain_mm} mm"
        );
        let wet_share = mean(&skies, |s| f64::from(u8::from(s.weather.rain_rate > 0.0)));
        assert!(
            (0.03..0.16).contains(&wet_share),
            "seed {seed}: wet share {wet_share}"
        );
        let dust = mean(&skies, |s| s.dust);
        assert!((6.0..16.0).contains(&dust), "seed {seed}: dust {dust}");
        let wind = mean(&skies, |s| s.weather.wind_speed);
        assert!((2.5..4.5).contains(&wind), "seed {seed}: wind {wind}");
        let humidity = mean(&skies, |s| {
            relative_humidity(s.weather.temperature, s.weather.dew_point)
        });
        assert!(
            (65.0..88.0).contains(&humidity),
            "seed {seed}: humidity {humidity}"
        );
        for sky in &skies {
            assert!((-16.0..42.0).contains(&sky.weather.temperature), "{sky:?}");
            assert!((970.0..1_055.0).contains(&sky.weather.pressure), "{sky:?}");
        }
    }
}

#[test]
fn winter_air_holds_more_dust_than_summer_air() {
    let skies = year(3);
    let (winter, summer): (Vec<Sky>, Vec<Sky>) = skies
        .into_iter()
        .partition(|s| s.moment.year_wave(20.0) > 0.0);
    assert!(mean(&winter, |s| s.dust) > 1.25 * mean(&summer, |s| s.dust));
}

#[test]
fn the_sky_changes_smoothly() {
    let noise = Noise::new(5);
    for second in (START_S..START_S + 30 * DAY_S).step_by(1_800) {
        let (now, next) = (Sky::at(noise, second), Sky::at(noise, second + 10));
        let jump = (now.weather.temperature - next.weather.temperature).abs();
        assert!(jump < 0.2, "{jump} degrees in 10 s at {second}");
    }
}
