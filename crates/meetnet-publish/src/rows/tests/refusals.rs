//! Requests that cannot be answered, and what they are told.

use super::{HEAT, ask};

#[tokio::test]
async fn wrong_requests_say_what_is_accepted() {
    async fn check(path: &str, status: u16, detail: &str) {
        let answer = ask(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let json = answer.json();
        let text = json["detail"].as_str().expect("a detail");
        assert!(
            text.contains(detail),
            "{path}: {text:?} should say {detail:?}"
        );
    }
    let heat = |query: &str| format!("{HEAT}?{query}");
    check("/api/v1/datasets/nope/rows", 404, "/api/v1/datasets lists").await;
    let near = "there is no dataset `heats`; did you mean `heat`?";
    for address in ["heats", "heats/rows", "heats/latest", "heats/files"] {
        check(&format!("/api/v1/datasets/{address}"), 404, near).await;
    }
    check(
        "/api/v1/datasets/rejects/rows",
        404,
        "/api/v1/datasets lists",
    )
    .await;
    check(
        &heat("colour=red"),
        400,
        "no parameter or column `colour`; parameters are from, to",
    )
    .await;
    check(&heat("colour=red"), 400, "columns are sensor_id, property").await;
    check(
        &heat("value.like=3"),
        400,
        ".eq, .lt, .lte, .gt, .gte, .null",
    )
    .await;
    check(&heat("value=warm"), 400, "value takes a number such as 1.5").await;
    check(&heat("licence=CC+BY"), 400, "`CC BY` is no licence").await;
    check(
        &heat("licence=CC0-1.0,CC-BY-3.0"),
        400,
        "`CC-BY-3.0` is no known licence; known are CC-BY-4.0, ",
    )
    .await;
    check(
        &heat("time.gte=yesterday"),
        400,
        "time.gte takes an RFC 3339 time",
    )
    .await;
    check(
        &heat("value.null=maybe"),
        400,
        "value.null takes true or false",
    )
    .await;
    check(
        &heat("property=air_temprature"),
        400,
        "property is never \"air_temprature\" in heat; it takes air_temperature, ",
    )
    .await;
    check(
        &heat("property=air_temperature&property=pm2_5"),
        400,
        "it takes air_temperature, ",
    )
    .await;
    check(
        "/api/v1/datasets/air_hourly/rows?property=air_temperature",
        400,
        "it takes pm1, ",
    )
    .await;
    check(
        "/api/v1/datasets/heat/latest?property=pm2_5",
        400,
        "it takes air_temperature, ",
    )
    .await;
    check(&heat("quality=5"), 400, "it takes 1, 2, 3, 4, 9").await;
    check(
        "/api/v1/datasets/data_quality/rows?period=week",
        400,
        "it takes day, month, all",
    )
    .await;
    check(
        "/api/v1/datasets/data_quality/rows?dataset=stations",
        400,
        "it takes air, heat, noise, traffic",
    )
    .await;
    check(&heat("quality=good"), 400, "quality takes a whole number").await;
    check(&heat("from=2026"), 400, "from takes an RFC 3339 time").await;
    check(&heat("from=22/11/2026"), 400, "or a day such as 2026-01-31").await;
    check(
        &heat("from=2026-11-23&to=2026-11-22"),
        400,
        "from lies behind to",
    )
    .await;
    check(&heat("from=2026-11-22T03:45:20+01:00"), 400, "%2B").await;
    check(&heat("limit=0"), 400, "from 1 to 10000").await;
    check(&heat("limit=10001"), 400, "from 1 to 10000").await;
    check(&heat("limit=1&limit=2"), 400, "given twice").await;
    check(&heat("download=yes"), 400, "download takes 1 or true").await;
    check(&heat("fields=value,colour"), 400, "no column `colour`").await;
    check(&heat("fields=value,value"), 400, "twice").await;
    check(&heat("fields="), 400, "names of columns").await;
    check(&heat("cursor=zz"), 400, "rel=\"next\"").await;
    check(&heat("sensor_id=%ff"), 400, "a parameter is not UTF-8").await;
    check(
        &heat("sensor_id=%zz"),
        400,
        "`%zz` is no percent-encoded byte",
    )
    .await;
    check(
        &heat("sensor_id=a%2"),
        400,
        "`%2` is no percent-encoded byte",
    )
    .await;
    check(&heat("%e9=a"), 400, "a parameter is not UTF-8").await;
    check(&heat("as_of=now"), 400, "as_of takes an RFC 3339 time").await;
    check(&heat("bbox=1,2,3"), 400, "west,south,east,north").await;
    check(
        &heat("bbox=4,51,5,50.5"),
        400,
        "`4,51,5,50.5`, whose south 51 lies above its north 50.5",
    )
    .await;
    check(&heat("near=4.7"), 400, "lon,lat in degrees").await;
    check(&heat("near=4.7,95"), 400, "lon,lat in degrees").await;
    check(&heat("near=4.7,50&radius=-1"), 400, "radius takes metres").await;
    check(&heat("radius=5"), 400, "goes with near").await;
    check(&heat("bbox=4,50,5,51&radius=5"), 400, "goes with near").await;
    check(&heat("near=4,50&bbox=1,2,3,4"), 400, "not both").await;
    check(&heat("order=value"), 400, "sensor_id, property, time").await;
    check(&heat("order=-"), 400, "order takes names").await;
    check(&heat("every=1"), 400, "such as 15m or 1d").await;
    check(&heat("every=1h&agg=avg"), 400, "agg takes mean, min").await;
    check(&heat("every=1h&agg=mean,mean"), 400, "each once").await;
    check(&heat("agg=mean"), 400, "goes with every").await;
    check(&heat("every=1h&gaps=mark"), 400, "needs from and to").await;
    check(
        &heat("every=1s&gaps=mark&from=2026-01-01&to=2026-02-01"),
        400,
        "gaps=mark with every=1s from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z makes up to 2678402 buckets",
    )
    .await;
    check(
        &heat("every=1h&changed_since=2026-11-22"),
        400,
        "goes without every",
    )
    .await;
    check(&heat("changed_since=now"), 400, "changed_since takes").await;
    check(
        "/api/v1/datasets/heat/latest?changed_since=2026-11-22",
        400,
        "take no changed_since",
    )
    .await;
    check(&heat("every=1h&zone=Mars"), 400, "time zone").await;
    check(
        "/api/v1/datasets/traffic/rows?every=1h&agg=mean,min,max",
        400,
        "name fields so that there are 1 to 64",
    )
    .await;
    check(
        "/api/v1/datasets/stations/rows?every=1h",
        400,
        "no values over time",
    )
    .await;
    check(
        &heat("as_of=2026-11-22T02:46:21Z"),
        422,
        "stable time 2026-11-22T02:46:20Z",
    )
    .await;
    check(&heat("format=xlsx"), 400, "xlsx").await;
    check(
        "/api/v1/datasets/traffic/rows?speed_hist=1",
        400,
        "a list cannot be compared",
    )
    .await;
}

/// Every parameter that can be given a wrong value says so by its name, with the value and one that is right.
#[tokio::test]
async fn a_wrong_value_is_repeated_beside_its_parameter_and_a_right_one() {
    async fn check(query: &str, parameter: &str, value: &str, example: &str) {
        let answer = ask(&format!("{HEAT}?{query}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{query}: {answer:?}");
        let json = answer.json();
        let text = json["detail"].as_str().expect("a detail");
        for part in [parameter, value, example] {
            assert!(text.contains(part), "{query}: {text:?} should say {part:?}");
        }
    }
    for (parameter, value, example) in [
        ("from", "yesterday", "such as 2026-01-31"),
        ("to", "31/01/2026", "such as 2026-01-31"),
        ("changed_since", "now", "such as 2026-01-31"),
        ("as_of", "2026", "such as 2026-01-31"),
        ("time.gte", "12:00", "such as 2026-01-31"),
        ("bbox", "1,2,3", "such as 4.6,50.8,4.8,50.95"),
        ("bbox", "4,51,5,50", "such as 4.6,50.8,4.8,50.95"),
        ("bbox", "4,51,5,NaN", "such as 4.6,50.8,4.8,50.95"),
        ("near", "4.7", "such as 4.7005,50.8798"),
        ("near", "4.7,95", "such as 4.7005,50.8798"),
        ("radius", "500", "such as near=4.7005,50.8798&radius=500"),
        ("fields", "value,,time", "such as time,value"),
        ("fields", "value,value", "such as time,value"),
        ("fields", "colour", "there are sensor_id"),
        ("order", "time,", "such as -time,sensor_id"),
        ("order", "value", "such as -time"),
        ("every", "1", "such as 15m or 1d"),
        ("every", "hourly", "such as 15m or 1d"),
        ("agg", "mean", "such as every=1h"),
        ("zone", "UTC", "such as every=1h"),
        ("gaps", "mark", "such as every=1h"),
        ("limit", "0", "such as 1000"),
        ("limit", "many", "such as 1000"),
        ("cursor", "zz", "the link rel=\"next\""),
        ("format", "xlsx", "there are json"),
        ("download", "yes", "1 or true"),
        ("licence", "CC BY", "such as CC-BY-4.0"),
        ("value", "warm", "such as 1.5"),
        ("value.null", "maybe", "true or false"),
        ("quality", "good", "such as 1"),
        ("property", "air_temprature", "air_temperature"),
    ] {
        let given = value.replace(' ', "+");
        check(&format!("{parameter}={given}"), parameter, value, example).await;
    }
    for (query, parameter, value, example) in [
        ("near=4.7,50&radius=far", "radius", "far", "such as 500"),
        ("near=4.7,50&radius=-1", "radius", "-1", "such as 500"),
        ("bbox=4,50,5,51&near=4.7,50.8", "bbox", "4.7,50.8", "near"),
        ("every=1h&agg=avg", "agg", "avg", "such as mean,max"),
        ("every=1h&agg=min,min", "agg", "min,min", "such as mean,max"),
        (
            "every=1h&zone=Mars",
            "zone",
            "Mars",
            "such as Europe/Brussels",
        ),
        ("every=1h&gaps=fill", "gaps", "fill", "gaps=mark"),
        (
            "every=1h&changed_since=2026-11-22",
            "changed_since",
            "1h",
            "leave out",
        ),
        (
            "from=2026-11-23&to=2026-11-22",
            "from",
            "`2026-11-23` behind `2026-11-22`",
            "such as from=2026-01-01&to=2026-02-01",
        ),
        ("limit=7&limit=8", "limit", "`7` and `8`", "give it once"),
    ] {
        check(query, parameter, value, example).await;
    }
    // Of a long one only so much.
    for parameter in [
        "bbox", "from", "order", "fields", "cursor", "every", "format", "licence",
    ] {
        let answer = ask(&format!("{HEAT}?{parameter}={}", "x".repeat(5_000))).await;
        assert_eq!(answer.status.as_u16(), 400, "{parameter}");
        let json = answer.json();
        let text = json["detail"].as_str().expect("a detail");
        assert!(text.contains(&"x".repeat(100)), "{parameter}: {text}");
        assert!(!text.contains(&"x".repeat(101)), "{parameter}: {text}");
    }
}

/// `value.in takes a number` would say that there is such a condition.
#[tokio::test]
async fn a_condition_that_is_none_is_told_before_its_value() {
    for query in ["value.in=1,2", "value.in=1", "time.between=yesterday"] {
        let answer = ask(&format!("{HEAT}?{query}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        for said in [
            "there is no condition `",
            ".eq, .lt, .lte, .gt, .gte, .null",
        ] {
            assert!(answer.body.contains(said), "{query}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn rows_of_hexagons_are_asked_for_by_these() {
    for query in ["bbox=4.6,50.8,4.8,51", "near=4.7,50.88&radius=500"] {
        let answer = ask(&format!(
            "/api/v1/datasets/neighbourhood_hourly/rows?{query}"
        ))
        .await;
        assert_eq!(answer.status.as_u16(), 400, "{query}");
        let said = "each is of a hexagon, h3_r9; ask for those of an area by h3_r9=…";
        assert!(answer.body.contains(said), "{query}: {}", answer.body);
    }
}
