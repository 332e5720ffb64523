use futures::future::join_all;
use meetnet_access::{Access, User};
use meetnet_query::{ApiKey, KeyDigest, KeyLimits};

use super::*;

fn door(anonymous: bool) -> Door {
    Door::new(&FlightOptions {
        access: Access {
            anonymous,
            users: vec![User {
                name: "analyst".to_owned(),
                password: "correct:horse".to_owned(),
            }],
            tls: None,
        },
        ..FlightOptions::default()
    })
}

fn basic(pair: &str) -> Option<String> {
    Some(format!("Basic {}", BASE64.encode(pair)))
}

#[tokio::test]
async fn who_comes_in_and_who_does_not() {
    let analyst = Some(Principal::User("analyst".into()));
    let cases = [
        (None, Some(Principal::Anybody), None),
        (basic("public:"), Some(Principal::Anybody), None),
        (basic("public:any"), Some(Principal::Anybody), None),
        (
            basic("analyst:correct:horse"),
            analyst.clone(),
            analyst.clone(),
        ),
        (
            basic("analyst:correct:horse").map(|text| text.replace("Basic", "bASIC")),
            analyst.clone(),
            analyst,
        ),
        (
            basic("public:any").map(|text| text.trim_end_matches('=').to_owned()),
            Some(Principal::Anybody),
            None,
        ),
        (basic("analyst:correct"), None, None),
        (basic("analyst:"), None, None),
        (basic("Analyst:correct:horse"), None, None),
        (basic("nobody:correct:horse"), None, None),
        (basic("analyst"), None, None),
        (Some("Basic analyst:correct:horse".to_owned()), None, None),
        (Some("Bearer analyst".to_owned()), None, None),
        (
            Some(format!("Bearer {}", BASE64.encode([0; 16]))),
            None,
            None,
        ),
        (Some("Negotiate abc".to_owned()), None, None),
        (Some(String::new()), None, None),
    ];
    // At the same time: a wrong password takes some.
    let checks = cases.iter().flat_map(|(header, open, closed)| {
        [(true, open), (false, closed)].map(|(anonymous, expected)| async move {
            let principal = door(anonymous).principal(header.clone()).await;
            assert_eq!(principal.ok(), *expected, "{header:?} {anonymous}");
        })
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_token_stands_for_who_got_it() {
    let door = door(true);
    for principal in [Principal::Anybody, Principal::User("analyst".into())] {
        let token = door.token(&principal);
        let header = Some(format!("Bearer {token}"));
        assert_eq!(door.principal(header).await.ok(), Some(principal));
        let elsewhere = self::door(true);
        let header = Some(format!("Bearer {token}"));
        assert!(elsewhere.principal(header).await.is_err());
    }
}

#[tokio::test]
async fn a_wrong_password_takes_time() {
    let started = Instant::now();
    let failed = door(true).principal(basic("analyst:wrong")).await;
    assert_eq!(
        failed.map_err(|status| status.message().to_owned()),
        Err("password authentication failed for user `analyst`".to_owned())
    );
    assert!(started.elapsed() >= FAILED_PAUSE);
}

#[tokio::test]
async fn the_holder_of_a_key_is_known_by_it_and_not_where_others_could_read_it() {
    let key = ApiKey {
        name: "university".into(),
        digest: KeyDigest::of("a long random key"),
        limits: KeyLimits::default(),
    };
    let door = Door::new(&FlightOptions {
        keys: ApiKeys::new([key]),
        ..FlightOptions::default()
    });
    let holder = Principal::Key("university".into());
    for header in [
        basic("university:a long random key"),
        Some("Bearer a long random key".to_owned()),
        Some(format!("Bearer {}", door.token(&holder))),
    ] {
        let principal = door.principal(header.clone()).await;
        assert_eq!(principal.ok(), Some(holder.clone()), "{header:?}");
    }
    for header in [
        basic("university:another key"),
        basic("public2:a long random key"),
        Some("Bearer another key".to_owned()),
    ] {
        let principal = door.principal(header.clone()).await;
        assert!(principal.is_err(), "{header:?}");
    }
    let near = "127.0.0.1".parse().ok();
    let caller = door.caller(holder.clone(), near).expect("on this machine");
    assert_eq!(caller.client.key_name(), Some("university"));
    let far = "192.0.2.1".parse().ok();
    assert!(door.caller(holder, far).is_err(), "without TLS");
    let anybody = door.caller(Principal::Anybody, far).expect("anybody");
    assert_eq!(anybody.client.identity(), "network 192.0.2.0/24");
}
