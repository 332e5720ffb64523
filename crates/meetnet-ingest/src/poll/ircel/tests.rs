use super::super::options::{Api, Series};
use super::*;

fn series(id: &str) -> Series {
    Series {
        id: id.to_owned(),
        sensor: "42R803".to_owned(),
        property: "pm2_5".to_owned(),
        unit: Some("ug/m3".to_owned()),
        interval_s: Some(3_600),
    }
}

fn layer(id: &str) -> Layer {
    Layer {
        id: id.to_owned(),
        property: "pm10".to_owned(),
        unit: None,
        interval_s: Some(3_600),
    }
}

fn options(series: Vec<Series>, layers: Vec<Layer>) -> PollOptions {
    let api = Api::Ircel(IrcelOptions { series, layers });
    PollOptions::new(api, "https://geo.irceline.be/sos/api/v1/").unwrap()
}

#[test]
fn series_are_asked_for_spans_and_layers_for_what_they_are() {
    let options = options(vec![series("10744")], vec![layer("pm10_hmean_station")]);
    assert_eq!(options.check(), Ok(()));
    let targets = options.api.targets(&options);
    let window = Window {
        from: 1_795_824_000 * SECOND_US,
        to: (1_795_824_000 + 7_200) * SECOND_US,
    };
    let url = |at: usize| {
        let target: &Target = &targets[at];
        let window = target.windows.map(|_| window);
        options
            .api
            .request(&options, target, window)
            .url
            .to_string()
    };
    assert_eq!(
        url(0),
        "https://geo.irceline.be/sos/api/v1/timeseries/10744/getData?\
         timespan=2026-11-28T00%3A00%3A00Z%2F2026-11-28T02%3A00%3A00Z"
    );
    assert_eq!(
        url(1),
        "https://geo.irceline.be/wfs?service=WFS&version=2.0.0&request=GetFeature&\
         typeName=realtime%3Apm10_hmean_station&outputFormat=application%2Fjson"
    );
    let meta = |at: usize| {
        let meta = options.api.meta(&targets[at]);
        let pairs: Vec<String> = meta
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join(" ")
    };
    assert_eq!(
        meta(0),
        "sensor=42R803 property=pm2_5 unit=ug/m3 interval-s=3600"
    );
    assert_eq!(meta(1), "property=pm10 interval-s=3600");
    // Where the station of a series is.
    assert_eq!(
        url(2),
        "https://geo.irceline.be/sos/api/v1/timeseries/10744"
    );
    assert_eq!(meta(2), "about=station sensor=42R803");
    assert_eq!(targets.len(), 3);
}

#[test]
fn a_station_is_asked_for_once_whatever_it_measures() {
    let options = options(vec![series("10744"), series("7185")], vec![]);
    let targets = options.api.targets(&options);
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["10744", "7185", "station:10744"]);
}

#[test]
fn wrong_series_are_told() {
    let fault = |series, layers| options(series, layers).check().unwrap_err().to_string();
    assert!(fault(vec![], vec![]).starts_with("there is nothing to poll; name time series"));
    assert_eq!(
        fault(vec![series("10744"), series("10744")], vec![]),
        "the series `10744` is named twice; remove one"
    );
    assert_eq!(
        fault(vec![series("1/2")], vec![]),
        "`1/2` is no time series; write its number"
    );
    assert_eq!(
        fault(vec![], vec![layer("realtime:pm10")]),
        "`realtime:pm10` is no layer; write its name without the workspace"
    );
    let unnamed = Series {
        sensor: String::new(),
        ..series("1")
    };
    assert_eq!(
        fault(vec![unnamed], vec![]),
        "the series `1` has an empty sensor; name its station"
    );
    let endless = Series {
        interval_s: Some(0),
        ..series("1")
    };
    assert_eq!(
        fault(vec![endless], vec![]),
        "the series `1` has no possible interval_s; write seconds, at most a day"
    );
}

#[test]
fn what_answers_mean() {
    let options = options(vec![series("10744")], vec![layer("pm10")]);
    let targets = options.api.targets(&options);
    let items = |at: usize, status: u16, body: &str| {
        let answer = Answer {
            status,
            body: body.as_bytes().to_vec(),
            ..Answer::default()
        };
        match options.api.read(&targets[at], &answer) {
            Verdict::Take { items } => Ok(items),
            Verdict::Failed(failure) => Err(failure.message),
            other => panic!("{other:?}"),
        }
    };
    let values = r#"{"values":[{"timestamp":1556056800000,"value":18.5},{"timestamp":1556060400000,"value":"NaN"}]}"#;
    assert_eq!(items(0, 200, values), Ok(2));
    assert_eq!(items(0, 200, r#"{"values":[]}"#), Ok(0));
    assert_eq!(
        items(1, 200, r#"{"type":"FeatureCollection","features":[{}]}"#),
        Ok(1)
    );
    let explained = items(1, 200, "<?xml version=\"1.0\"?><ows:ExceptionReport/>").unwrap_err();
    assert!(
        explained.starts_with("the answer is broken: no GeoJSON layer"),
        "{explained}"
    );
    assert_eq!(items(2, 200, r#"{"station":{}}"#), Ok(1));
    let listed = items(2, 200, "[]").unwrap_err();
    assert!(
        listed.starts_with("the answer is broken: no description of a station"),
        "{listed}"
    );
    let cut = items(0, 200, &values[..60]).unwrap_err();
    assert!(
        cut.starts_with("the answer is broken: no list of `values`"),
        "{cut}"
    );
    assert_eq!(
        items(0, 404, r#"{"reason":"x","message":"no such timeseries"}"#),
        Err("the request is refused: 404 (no such timeseries)".to_owned())
    );
    // There is no key to look at.
    for status in [401, 403] {
        for target in 0..3 {
            let denied = items(target, status, "").unwrap_err();
            assert!(!denied.contains("api_key"), "{denied}");
        }
    }
}
