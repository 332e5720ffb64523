use super::super::options::Api;
use super::*;

fn options(of: SensorCommunityOptions) -> PollOptions {
    let mut options =
        PollOptions::new(Api::SensorCommunity(of), "https://data.sensor.community").unwrap();
    options.contact = Some("data@leuven.example".to_owned());
    options
}

fn around_leuven() -> SensorCommunityOptions {
    SensorCommunityOptions {
        area: Some([50.8798, 4.7005, 10.0]),
        archive: vec!["sds011_sensor_140".to_owned()],
        ..SensorCommunityOptions::default()
    }
}

#[test]
fn an_area_is_asked_for_now_and_a_sensor_for_its_days() {
    let options = options(around_leuven());
    assert_eq!(options.check(), Ok(()));
    let targets = options.api.targets(&options);
    let day = Window {
        from: 1_795_824_000_000_000,
        to: 1_795_824_000_000_000 + DAY_US,
    };
    let url = |target: &Target| {
        let window = target.windows.map(|_| day);
        options
            .api
            .request(&options, target, window)
            .url
            .to_string()
    };
    let urls: Vec<String> = targets.iter().map(url).collect();
    assert_eq!(
        urls,
        [
            "https://data.sensor.community/airrohr/v1/filter/area=50.8798,4.7005,10",
            "https://archive.sensor.community/2026-11-28/2026-11-28_sds011_sensor_140.csv",
        ]
    );
    assert_eq!(targets[1].windows.unwrap().chunk_max, DAY_US);
    assert_eq!(
        options.user_agent(),
        format!(
            "meetnet/{} (data@leuven.example)",
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn wrong_filters_are_told() {
    let check = |change: fn(&mut SensorCommunityOptions), expect: &str| {
        let mut of = around_leuven();
        change(&mut of);
        let fault = options(of).check().unwrap_err().to_string();
        assert!(fault.starts_with(expect), "{fault}");
    };
    check(
        |of| of.country = Some("BE".to_owned()),
        "area, box and country exclude each other; keep one",
    );
    check(
        |of| *of = SensorCommunityOptions::default(),
        "there is nothing to poll; name an area",
    );
    check(
        |of| of.area = Some([50.9, 4.7, 0.0]),
        "area is [latitude, longitude, km]",
    );
    check(
        |of| of.area = Some([500.9, 4.7, 1.0]),
        "area is [latitude, longitude, km]",
    );
    check(
        |of| {
            of.area = None;
            of.within = Some([50.9, 4.7, 91.0, 4.8]);
        },
        "box is [latitude, longitude, latitude, longitude]",
    );
    check(
        |of| {
            of.area = None;
            of.country = Some("Belgium".to_owned());
        },
        "`Belgium` is no country",
    );
    for name in [
        "140",
        "sds011_sensor_",
        "../sds011_sensor_1",
        "SDS011_sensor_1",
    ] {
        let mut of = around_leuven();
        of.archive = vec![name.to_owned()];
        let fault = options(of).check().unwrap_err().to_string();
        assert!(
            fault.starts_with(&format!("`{name}` is no sensor of the archive")),
            "{fault}"
        );
    }
    let mut nobody = options(around_leuven());
    nobody.contact = None;
    assert!(
        nobody
            .check()
            .unwrap_err()
            .to_string()
            .contains("add contact")
    );
}

#[test]
fn what_answers_mean() {
    let options = options(around_leuven());
    let targets = options.api.targets(&options);
    let (now, archive) = (&targets[0], &targets[1]);
    let verdict = |target: &Target, status: u16, body: &str| {
        options.api.read(
            target,
            &Answer {
                status,
                body: body.as_bytes().to_vec(),
                ..Answer::default()
            },
        )
    };
    let csv = "sensor_id;sensor_type;location;lat;lon;timestamp;P1\n140;SDS011;64;50.1;4.7;2026-11-28T00:01:02;4.2\n";
    for (target, status, body, expect) in [
        (now, 200, "[{},{}]", Some(2)),
        (now, 200, "[]", Some(0)),
        (now, 200, "[{}", None),
        (now, 404, "", None),
        (archive, 200, csv, Some(1)),
        (archive, 200, csv.trim_end(), Some(1)),
        (archive, 200, "<html>", None),
        // No file: the sensor said nothing on that day.
        (archive, 404, "<html>", Some(0)),
    ] {
        let found = match verdict(target, status, body) {
            Verdict::Take { items } => Some(items),
            _ => None,
        };
        assert_eq!(found, expect, "{status} {body}");
    }
    assert_eq!(verdict(now, 304, ""), Verdict::Unchanged);
}
