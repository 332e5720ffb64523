//! `config/meetnet.service`: what it starts is what this program takes, and it lets the program do what it must.

use std::time::Duration;

use clap::Parser;

use super::super::{Arguments, Command, ConfigCommand};
use crate::config::{Config, Environment};

const PROGRAM: &str = "/usr/local/bin/meetnet";
const CONFIG: &str = "/etc/meetnet/meetnet.toml";

/// The settings of the unit, in their order.
fn settings() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/meetnet.service");
    let text = std::fs::read_to_string(path).expect("the unit");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    lines
        .map(|line| {
            let (name, value) = line.split_once('=').expect("a setting");
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// Returns every value that a setting has.
fn values<'s>(settings: &'s [(String, String)], name: &str) -> Vec<&'s str> {
    let named = settings.iter().filter(|(known, _)| known == name);
    named.map(|(_, value)| value.as_str()).collect()
}

fn value<'s>(settings: &'s [(String, String)], name: &str) -> &'s str {
    match values(settings, name).as_slice() {
        [value] => value,
        values => panic!("{name}: {values:?}"),
    }
}

#[test]
fn the_unit_of_systemd_starts_this_program() {
    let settings = settings();
    let mut started = Vec::new();
    for (name, line) in settings.iter().filter(|(name, _)| name.starts_with("Exec")) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] != PROGRAM {
            continue;
        }
        let arguments = Arguments::try_parse_from(&words);
        let arguments = arguments.unwrap_or_else(|error| panic!("{name}={line}: {error}"));
        let (what, config) = match &arguments.command {
            Command::Run(option) => ("run", &option.config),
            Command::Config {
                command: ConfigCommand::Check(option),
            } => ("config check", &option.config),
            _ => panic!("{name}={line}"),
        };
        assert_eq!(config.to_str(), Some(CONFIG), "{line}");
        started.push((name.as_str(), what));
    }
    assert_eq!(
        started,
        [("ExecStart", "run"), ("ExecReload", "config check")]
    );
    // Checked first, so that `systemctl reload` fails where the daemon would go on with what it has.
    let reloads = values(&settings, "ExecReload");
    assert_eq!(reloads.last(), Some(&"/bin/kill -HUP $MAINPID"));
}

#[test]
fn the_unit_of_systemd_lets_the_program_do_what_it_must() {
    let settings = settings();
    // It says to nobody that it is ready, and does not go into the background.
    assert_eq!(value(&settings, "Type"), "exec");
    assert_eq!(value(&settings, "KillSignal"), "SIGTERM");
    assert_eq!(value(&settings, "RestartPreventExitStatus"), "2");
    let writable = value(&settings, "ReadWritePaths");
    assert_eq!(value(&settings, "RequiresMountsFor"), writable);
    assert_eq!(
        writable,
        format!("/var/lib/{}", value(&settings, "StateDirectory"))
    );
    // More than the parts take that end one after the other, and the last commits.
    let stop = value(&settings, "TimeoutStopSec").trim_end_matches("min");
    let stop = Duration::from_secs(60 * stop.parse::<u64>().expect("minutes"));
    let config = Config::parse(CONFIG.as_ref(), "", &Environment::default());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert!(stop > 10 * config.limits.stop_time_max, "{stop:?}");
    let files: u64 = value(&settings, "LimitNOFILE").parse().expect("a number");
    assert!(files > 10_000, "{files}");
}
