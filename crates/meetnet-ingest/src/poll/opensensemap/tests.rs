use super::super::options::Api;
use super::*;

const BOX: &str = "539c00c2a83415541578eaf5";
const SENSOR: &str = "539c00c2a83415541578eaf6";

fn series(id: &str) -> Series {
    Series {
        id: id.to_owned(),
        sensor: SENSOR.to_owned(),
        property: "pm10".to_owned(),
        unit: None,
        interval_s: None,
    }
}

fn options(ids: &[&str]) -> PollOptions {
    let api = Api::OpenSenseMap(ids.iter().map(|id| series(id)).collect());
    PollOptions::new(api, "https://api.opensensemap.org").unwrap()
}

#[test]
fn a_sensor_of_a_box_is_asked_for_a_span() {
    let options = options(&[&format!("{BOX}/{SENSOR}")]);
    assert_eq!(options.check(), Ok(()));
    let targets = options.api.targets(&options);
    let window = Window {
        from: 1_795_824_000 * SECOND_US,
        to: (1_795_824_000 + 7_200) * SECOND_US,
    };
    let request = options.api.request(&options, &targets[0], Some(window));
    assert_eq!(
        request.url.as_str(),
        format!(
            "https://api.opensensemap.org/boxes/{BOX}/data/{SENSOR}?from-date=2026-11-28T00%3A00%3A00Z&\
             to-date=2026-11-28T02%3A00%3A00Z&format=json"
        )
    );
}

#[test]
fn a_box_is_asked_where_it_is() {
    let other = "539c00c2a83415541578eaf7";
    let options = options(&[&format!("{BOX}/{SENSOR}"), &format!("{BOX}/{other}")]);
    let targets = options.api.targets(&options);
    assert_eq!(targets.len(), 3);
    let target = &targets[2];
    assert_eq!(target.interval, Some(7 * DAY_US));
    let request = options.api.request(&options, target, None);
    let expected = format!("https://api.opensensemap.org/boxes/{BOX}");
    assert_eq!((request.url.as_str(), request.json), (&*expected, None));
    // Both series give their rows the same sensor id here.
    let meta = options.api.meta(target);
    let expected = [
        ("about", "station".to_owned()),
        ("sensor", SENSOR.to_owned()),
    ];
    assert_eq!(meta, expected);
    let verdict = |body: &str| {
        let answer = Answer {
            status: 200,
            body: body.as_bytes().to_vec(),
            ..Answer::default()
        };
        options.api.read(target, &answer)
    };
    assert_eq!(verdict(r#"{"loc": []}"#), Verdict::Take { items: 1 });
    assert!(matches!(verdict("[]"), Verdict::Failed(_)));
    assert!(options.api.personal_members().contains(&"name"));
}

#[test]
fn wrong_ids_are_told() {
    let fault = |ids: &[&str]| options(ids).check().unwrap_err().to_string();
    assert!(fault(&[]).starts_with("there is nothing to poll; name sensors of boxes"));
    for id in [BOX, "a/b", "539c00c2a83415541578eaf5/../x"] {
        let expect = format!(
            "`{id}` is no sensor of a box; write BOX/SENSOR, each of 24 hexadecimal digits"
        );
        assert_eq!(fault(&[id]), expect);
    }
}

#[test]
fn an_answer_that_is_full_is_asked_for_in_halves() {
    let options = options(&[&format!("{BOX}/{SENSOR}")]);
    let target = &options.api.targets(&options)[0];
    let verdict = |body: String| {
        let answer = Answer {
            status: 200,
            body: body.into_bytes(),
            ..Answer::default()
        };
        read(target, &answer)
    };
    let of = |count: usize| {
        let one = r#"{"value":"4.2","createdAt":"2026-11-28T00:00:00.000Z"}"#;
        format!("[{}]", vec![one; count].join(","))
    };
    assert_eq!(verdict(of(0)), Verdict::Take { items: 0 });
    assert_eq!(verdict(of(9_999)), Verdict::Take { items: 9_999 });
    assert_eq!(verdict(of(10_000)), Verdict::Split);
    assert!(matches!(verdict("[{".to_owned()), Verdict::Failed(_)));
}
