//! Requests as stations write them.

use meetnet_model::ids::SourceId;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::WireFormat;

use super::super::testing::{Server, key, serving, source};
use crate::http::PushSource;
use crate::outcomes::{Outcome, OutcomeReject};

const PASSKEY: &str = "0123456789ABCDEF0123456789ABCDEF";

fn with_token(source: PushSource, token: &str) -> PushSource {
    PushSource {
        token: Some(token.to_owned()),
        ..source
    }
}

fn named(source: PushSource, name: &str) -> PushSource {
    PushSource {
        name: Some(name.to_owned()),
        ..source
    }
}

fn good() -> Outcome {
    Outcome {
        accepted: 3,
        ..Outcome::default()
    }
}

/// What a GW1000 sends.
fn gateway(path: &str, passkey: &str) -> (String, String) {
    let body = format!(
        "PASSKEY={passkey}&stationtype=GW1000B_V1.7.3&runtime=319206&dateutc=2026-06-01+11:59:30&tempf=68.0"
    );
    let head = format!(
        "POST {path} HTTP/1.1\r\nHOST: 192.0.2.1\r\nConnection: Close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length:{}\r\n\r\n",
        body.len()
    );
    (head, body)
}

async fn send(server: &Server, (head, body): (String, String)) -> super::super::testing::Reply {
    server.decode_next(good());
    server.send(head.as_bytes(), body.as_bytes()).await
}

#[tokio::test]
async fn an_ecowitt_gateway_is_answered_with_200_and_its_key_is_not_journalled() {
    let server = serving(vec![source("roofs", WireFormat::Ecowitt)]).await;
    for path in ["/data/report/", "/data/report"] {
        let reply = send(&server, gateway(path, PASSKEY)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{path}");
    }
    let taken = server.sink.taken();
    assert_eq!(taken.len(), 2);
    assert_eq!(
        (taken[0].source.as_str(), taken[0].topic.as_str()),
        ("roofs", "/data/report/")
    );
    assert_eq!(
        String::from_utf8_lossy(&taken[0].payload),
        "stationtype=GW1000B_V1.7.3&runtime=319206&dateutc=2026-06-01+11:59:30&tempf=68.0"
    );
    let pseudonym = key().hardware_id("passkey", PASSKEY);
    assert_eq!(taken[0].meta, [("station".to_owned(), pseudonym)]);
    assert!(!server.journalled().contains(PASSKEY));
}

#[tokio::test]
async fn an_ambient_console_sends_a_query() {
    let server = serving(vec![source("roofs", WireFormat::Ecowitt)]).await;
    let head = "GET /data/report/?&stationtype=AMBWeatherV4.3.4&MAC=00:0E:C6:00:00:01&dateutc=2026-06-01+11:59:30\
                &tempf=53.8 HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: Close\r\n\r\n";
    let reply = send(&server, (head.to_owned(), String::new())).await;
    assert_eq!(reply.status, 200);
    let taken = server.sink.taken();
    assert!(!server.journalled().contains("0E:C6"));
    assert_eq!(taken[0].meta[0].0, "station");
    assert_eq!(taken[0].topic, "/data/report/");
}

#[tokio::test]
async fn a_weather_underground_upload_is_answered_with_success() {
    let server = serving(vec![source("wu", WireFormat::Wunderground)]).await;
    for suffix in [".php", ".asp", ""] {
        let head = format!(
            "GET /weatherstation/updateweatherstation{suffix}?ID=ILEUVE1&PASSWORD=s3cret&action=updateraw\
             &dateutc=2026-6-1%2011:59:5&tempf=68.0&rainin=0.00&realtime=1&rtfreq=5 HTTP/1.0\r\n\
             User-Agent: WeatherLogger\r\nHost: rtupdate.wunderground.com\r\n\r\n"
        );
        let reply = send(&server, (head, String::new())).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, "success\n"),
            "{suffix}"
        );
    }
    let taken = server.sink.taken();
    assert_eq!(
        String::from_utf8_lossy(&taken[2].payload),
        "ID=ILEUVE1&action=updateraw&dateutc=2026-6-1%2011:59:5&tempf=68.0&rainin=0.00&realtime=1&rtfreq=5"
    );
    assert!(!server.journalled().contains("s3cret"));
    assert_eq!(taken[2].topic, "/weatherstation/updateweatherstation");
}

#[tokio::test]
async fn the_credential_says_whose_source_it_is() {
    let sources = || {
        vec![
            with_token(source("north", WireFormat::Ecowitt), "NORTH"),
            with_token(source("south", WireFormat::Ecowitt), "SOUTH"),
            named(
                with_token(source("wu1", WireFormat::Wunderground), "one"),
                "ILEUVE1",
            ),
            named(
                with_token(source("wu2", WireFormat::Wunderground), "two"),
                "ILEUVE2",
            ),
        ]
    };
    let server = serving(sources()).await;
    let upload = |id: &str, password: &str| {
        let head = format!(
            "GET /weatherstation/updateweatherstation.php?ID={id}&PASSWORD={password}&tempf=68 HTTP/1.1\r\n\
             Host: meetnet\r\nConnection: close\r\n\r\n"
        );
        (head, String::new())
    };
    assert_eq!(
        send(&server, gateway("/data/report/", "SOUTH"))
            .await
            .status,
        200
    );
    assert_eq!(
        send(&server, gateway("/data/report/", "NORTH"))
            .await
            .status,
        200
    );
    assert_eq!(
        send(&server, gateway("/data/report/", "WEST")).await.status,
        401
    );
    assert_eq!(send(&server, upload("ILEUVE2", "two")).await.status, 200);
    // As a bridge of AcuRite sends it: its MAC address is another id, and not the one that counts.
    let bridge = upload("ILEUVE1", "one&realtime=1&id=24C86E000001&mt=5N1x31");
    assert_eq!(send(&server, bridge).await.status, 200);
    assert_eq!(send(&server, upload("ILEUVE2", "one")).await.status, 401);
    let wrong = send(&server, upload("ILEUVE1", "two")).await;
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.body.starts_with("INVALIDPASSWORDID"),
        "{}",
        wrong.body
    );
    assert_eq!(send(&server, upload("IGENT1", "one")).await.status, 404);
    let taken: Vec<String> = server
        .sink
        .taken()
        .into_iter()
        .map(|taken| taken.source)
        .collect();
    assert_eq!(taken, ["south", "north", "wu2", "wu1"]);

    // One source of many stations: a key a line.
    let many = with_token(source("roofs", WireFormat::Ecowitt), "NORTH\n\n  SOUTH \n");
    let server = serving(vec![many]).await;
    assert_eq!(
        send(&server, gateway("/data/report/", "NORTH"))
            .await
            .status,
        200
    );
    assert_eq!(
        send(&server, gateway("/data/report/", "SOUTH"))
            .await
            .status,
        200
    );
    assert_eq!(
        send(&server, gateway("/data/report/", "NORTH\nSOUTH"))
            .await
            .status,
        401
    );
    assert_eq!(
        send(&server, gateway("/data/report/", "")).await.status,
        401
    );

    // A source without a token takes what no other has: only where there is no other.
    let mixed = vec![
        with_token(source("north", WireFormat::Ecowitt), "NORTH"),
        source("any", WireFormat::Ecowitt),
    ];
    let server = serving(mixed).await;
    assert_eq!(
        send(&server, gateway("/data/report/", "WEST")).await.status,
        401
    );
    let server = serving(vec![source("json", WireFormat::Json)]).await;
    assert_eq!(
        send(&server, gateway("/data/report/", "WEST")).await.status,
        404
    );
    assert_eq!(server.sink.taken(), []);
}

#[tokio::test]
async fn a_path_of_its_own_and_the_general_one_keep_secrets_too() {
    let own = PushSource {
        path: Some("/weather/roof".to_owned()),
        ..with_token(source("roof", WireFormat::Ecowitt), PASSKEY)
    };
    let server = serving(vec![own, source("other", WireFormat::Ecowitt)]).await;
    assert_eq!(
        send(&server, gateway("/weather/roof", PASSKEY))
            .await
            .status,
        200
    );
    assert_eq!(
        send(&server, gateway("/weather/roof", "WRONG"))
            .await
            .status,
        401
    );
    assert_eq!(
        send(&server, gateway("/ingest/v1/roof", PASSKEY))
            .await
            .status,
        204
    );
    assert_eq!(
        send(&server, gateway("/ingest/v1/other", "ANY"))
            .await
            .status,
        204
    );
    assert_eq!(
        send(&server, gateway("/weather/attic", PASSKEY))
            .await
            .status,
        404
    );
    let taken = server.sink.taken();
    let topics: Vec<&str> = taken.iter().map(|taken| taken.topic.as_str()).collect();
    assert_eq!(
        topics,
        ["/weather/roof", "/ingest/v1/roof", "/ingest/v1/other"]
    );
    let journalled = server.journalled();
    assert!(!journalled.contains("PASSKEY") && !journalled.contains(PASSKEY));
    assert!(
        taken
            .iter()
            .all(|taken| taken.meta.iter().any(|(name, _)| name == "station"))
    );
}

#[tokio::test]
async fn what_nobody_takes_is_refused_before_its_body_is_read() {
    let attic = PushSource {
        path: Some("/weather/attic".to_owned()),
        ..with_token(source("attic", WireFormat::Wunderground), "own")
    };
    let server = serving(vec![
        source("json", WireFormat::Json),
        with_token(source("roofs", WireFormat::Wunderground), "s3cret"),
        attic,
    ])
    .await;
    // Nothing follows the head, and limits of bodies would say 408.
    let check = async |path: &str, header: &str, status: u16| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: meetnet\r\n{header}Content-Length: 1000\r\n\r\n"
        );
        let reply = server.send(head.as_bytes(), b"").await;
        assert_eq!(reply.status, status, "{path} {header}");
    };
    let wunderground = "/weatherstation/updateweatherstation.php";
    check("/data/report/", "", 404).await;
    check("/query", "", 404).await;
    check(wunderground, "Authorization: Bearer wrong\r\n", 401).await;
    let wrong = "Authorization: Bearer wrong\r\n";
    check("/ingest/v1/roofs", wrong, 401).await;
    // It has a path of its own, so it is known which source turned it away.
    check("/weather/attic", wrong, 401).await;
    let refused = |id: &str| {
        let status = server.statuses.read_one(&SourceId::new(id));
        status.expect("a source").refused_total
    };
    assert_eq!((refused("attic"), refused("roofs")), (1, 1));
    // The password may be in the body.
    check(wunderground, "", 408).await;
    check(wunderground, "Authorization: Bearer s3cret\r\n", 408).await;
    assert_eq!(server.sink.taken(), []);
}

#[tokio::test]
async fn a_station_learns_of_the_journal_and_not_of_its_rejects() {
    let server = serving(vec![source("roofs", WireFormat::Ecowitt)]).await;
    server.decode_next(Outcome {
        rejects: vec![OutcomeReject {
            reason: RejectReason::BadTime,
            message: "the time at `dateutc`".to_owned(),
            item: None,
        }],
        ..Outcome::default()
    });
    let (head, body) = gateway("/data/report/", PASSKEY);
    assert_eq!(
        server.send(head.as_bytes(), body.as_bytes()).await.status,
        200
    );
    // No pipeline: still journalled.
    assert_eq!(
        server.send(head.as_bytes(), body.as_bytes()).await.status,
        200
    );
    server.sink.set_full(true);
    let reply = server.send(head.as_bytes(), body.as_bytes()).await;
    assert_eq!(reply.status, 503);
    assert!(
        reply.headers.contains("retry-after: 5"),
        "{}",
        reply.headers
    );
    server.sink.set_full(false);
    let empty = "GET /data/report/ HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\n\r\n";
    assert_eq!(server.send(empty.as_bytes(), b"").await.status, 400);
    let only_key =
        "GET /data/report/?PASSKEY=X HTTP/1.1\r\nHost: meetnet\r\nConnection: close\r\n\r\n";
    assert_eq!(server.send(only_key.as_bytes(), b"").await.status, 400);
    assert_eq!(server.sink.taken().len(), 2);
}
