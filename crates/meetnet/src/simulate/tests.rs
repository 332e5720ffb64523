use std::collections::BTreeSet;

use clap::{Args, Command, FromArgMatches};

use super::*;
use crate::config::{Config, Environment};

fn options(arguments: &[&str]) -> Result<SimulateOptions, clap::Error> {
    let command = SimulateOptions::augment_args(Command::new("simulate"));
    let matches = command.try_get_matches_from([&["simulate"][..], arguments].concat())?;
    SimulateOptions::from_arg_matches(&matches)
}

/// Returns the plan of these arguments.
fn planned(arguments: &[&str]) -> LoadPlan {
    let options = options(arguments).expect("good arguments");
    let lanes = lanes(&options).expect("lanes");
    plan(&options, lanes, None)
}

#[test]
fn a_rate_and_a_time_make_a_number_of_messages() {
    let mqtt = ["--mqtt", "mqtt://127.0.0.1:1"];
    let check = |more: &[&str], expected: u64| {
        let plan = planned(&[&mqtt[..], more].concat());
        assert_eq!(plan.messages, expected, "{more:?}");
    };
    check(&[], MESSAGES_DEFAULT);
    check(&["--rate", "10"], MESSAGES_DEFAULT);
    check(&["--rate", "12.5", "--duration", "1m"], 750);
    check(&["--rate", "10", "--duration", "1m", "--messages", "7"], 7);
    assert!(
        options(&["--duration", "1m"]).is_err(),
        "a time needs a rate"
    );
    assert!(options(&["--rate", "0"]).is_err());
    assert!(options(&["--formats", "json,xml"]).is_err());
    let verify = [
        "--verify",
        "http://127.0.0.1:1",
        "--http",
        "http://127.0.0.1:1",
    ];
    assert!(options(&verify).is_err());
}

#[test]
fn transports_are_those_that_are_named() {
    let lanes_of = |arguments: &[&str]| {
        let options = options(arguments).expect("good arguments");
        lanes(&options).map(|lanes| {
            let transports = lanes.iter().map(|lane| lane.transport.as_str());
            transports.collect::<BTreeSet<_>>()
        })
    };
    let of = |arguments: &[&str]| lanes_of(arguments).expect("lanes");
    assert!(lanes_of(&[]).is_err(), "nobody says where to");
    assert_eq!(of(&["--http", "http://x"]), BTreeSet::from(["http"]));
    assert_eq!(of(&["--print-config"]), BTreeSet::from(["http", "mqtt"]));
    assert_eq!(
        of(&["--print-config", "--mqtt", "mqtt://x"]),
        BTreeSet::from(["mqtt"])
    );
}

#[test]
fn the_printed_configuration_is_a_good_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("meetnet.toml");
    let wiring = Wiring {
        broker: "mqtts://broker.example.org".to_owned(),
        username: Some("sim".to_owned()),
        password_env: Some("SIM_PASSWORD".to_owned()),
        tls_ca: None,
        token_env: Some("SIM_TOKEN".to_owned()),
    };
    let lanes = Lane::of(&Transport::ALL, &LoadFormat::ALL);
    let text = config_toml(&lanes, "sim", &wiring);
    std::fs::write(&file, &text).expect("a file");
    let mut environment = Environment::default();
    environment.set("SIM_PASSWORD", "a");
    environment.set("SIM_TOKEN", "b");
    let config =
        Config::load(&file, &environment).unwrap_or_else(|error| panic!("{error}\n{text}"));
    config
        .secrets(&environment)
        .unwrap_or_else(|error| panic!("{error}"));
    let sources = text.matches("[[source]]").count();
    // Two lanes of airRohr boxes push to one source.
    assert_eq!(sources, lanes.len() - 1);
}

#[test]
fn what_is_on_its_way_is_bounded() {
    assert_eq!(outstanding_max(1_004, 100), 4_016);
    assert_eq!(outstanding_max(1_004, 10_000), 50);
    assert_eq!(outstanding_max(4, 4_000_000), 1);
}

#[test]
fn secrets_are_named_not_given() {
    let mut environment = Environment::default();
    environment.set("SIM_TOKEN", "secret");
    let token = variable(Some("SIM_TOKEN"), &environment).expect("set");
    assert_eq!(token.as_deref(), Some("secret"));
    assert_eq!(variable(None, &environment).expect("nothing asked"), None);
    let error = variable(Some("SIM_NOTHING"), &environment).unwrap_err();
    assert!(error.error().to_string().contains("SIM_NOTHING"));
}
