use super::files::{Folder, Listeners, State};
use super::grouped;

#[test]
fn numbers_are_grouped() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1_000, "1,000"),
        (2_604_216, "2,604,216"),
    ] {
        assert_eq!(grouped(number), text);
    }
}

#[test]
fn what_the_demo_remembers_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    assert_eq!(folder.state().unwrap(), None);
    let mut state = State::new(3, 1_000_000, "127.0.0.1:1883".parse().unwrap());
    state.imported = Some([("lora/heat".to_owned(), 7)].into());
    folder.save(&state).unwrap();
    assert_eq!(folder.state().unwrap(), Some(state));
    std::fs::write(dir.path().join("demo.json"), "{").unwrap();
    let error = format!("{:#}", folder.state().unwrap_err());
    assert!(error.contains("demo.json is damaged; remove it"), "{error}");
}

#[test]
fn only_sources_at_the_demos_broker_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let broker = "127.0.0.1:1883".parse().unwrap();
    let config = super::files::config_toml(&Listeners::default(), broker);
    let edited = config.replacen("mqtt://127.0.0.1:1883", "mqtt://mosquitto", 1);
    std::fs::write(dir.path().join("meetnet.toml"), edited).unwrap();
    let state = State::new(3, 0, broker);
    assert_eq!(state.sources_at(dir.path()), ["airrohr", "lora", "balcony"]);
}
