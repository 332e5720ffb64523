use super::*;

/// 2026-06-08 00:00 UTC.
const SUMMER_S: i64 = 1_780_876_800;
/// 2026-01-12 00:00 UTC.
const WINTER_S: i64 = 1_768_176_000;

fn site(density: f64) -> Site {
    Site {
        altitude: 30.0,
        ..Site::new("Beukendreef".to_owned(), 4.7, 50.88, density, Noise::new(3))
    }
}

fn station(density: f64) -> WeatherStation {
    let uplink = Uplink::Lora {
        device_id: "ws-01".to_owned(),
        dev_eui: "00".repeat(8),
    };
    WeatherStation::new(uplink, site(density), true)
}

/// Mean of `value` over the hours of 60 days from `start_s`.
fn mean(start_s: i64, value: impl Fn(&Sky) -> f64) -> f64 {
    let noise = Noise::new(4);
    let hours = 60 * 24;
    (0..hours)
        .map(|h| value(&Sky::at(noise, start_s + h * 3_600)))
        .sum::<f64>()
        / hours as f64
}

#[test]
fn the_city_is_warmer_than_the_fields_and_most_so_at_night() {
    let (city, field) = (station(1.0), station(0.0));
    let difference = |sky: &Sky| city.read(sky).temperature - field.read(sky).temperature;
    let night = |sky: &Sky| {
        if sky.moment.sun < 0.0 {
            difference(sky)
        } else {
            0.0
        }
    };
    let all = mean(SUMMER_S, difference);
    assert!((0.5..2.5).contains(&all), "{all}");
    let nights =
        mean(SUMMER_S, night) / mean(SUMMER_S, |s| f64::from(u8::from(s.moment.sun < 0.0)));
    assert!(nights > all, "{nights} against {all}");
}

#[test]
fn fine_dust_is_part_of_dust_and_higher_in_winter() {
    let sensor = AirSensor::new("1234567".to_owned(), site(0.7));
    let noise = Noise::new(4);
    for hour in 0..500 {
        let reading = sensor.read(&Sky::at(noise, WINTER_S + hour * 3_600));
        assert!(
            reading.pm10 > reading.pm2_5 && reading.pm2_5 > 0.0,
            "{reading:?}"
        );
        assert!(
            (90_000.0..106_000.0).contains(&reading.pressure_pa),
            "{reading:?}"
        );
        assert!((0.0..=100.0).contains(&reading.humidity), "{reading:?}");
    }
    let winter = mean(WINTER_S, |sky| sensor.read(sky).pm2_5);
    let summer = mean(SUMMER_S, |sky| sensor.read(sky).pm2_5);
    assert!(winter > 1.2 * summer, "{winter} against {summer}");
    assert!((5.0..40.0).contains(&winter), "{winter}");
}

#[test]
fn only_full_stations_measure_wind_and_rain() {
    let sky = Sky::at(Noise::new(4), SUMMER_S);
    let full = station(0.5).read(&sky);
    assert!(full.wind_speed.is_some() && full.rain_rate.is_some());
    let uplink = Uplink::Zigbee {
        device: "balkon-1".to_owned(),
    };
    let bare = WeatherStation::new(uplink, site(0.5), false).read(&sky);
    assert_eq!((bare.wind_speed, bare.rain_rate), (None, None));
}

#[test]
fn outages_are_rare_and_last_for_hours() {
    let site = site(0.5);
    let spans = 20_000;
    let up = (0..spans).filter(|i| site.is_up(i * OUTAGE_S)).count() as f64 / spans as f64;
    assert!((0.98..0.995).contains(&up), "{up}");
    assert_eq!(site.is_up(0), site.is_up(OUTAGE_S - 1));
}
