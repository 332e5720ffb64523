use futures::future::join_all;
use meetnet_access::{Access, User};

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
