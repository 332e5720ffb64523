use super::{Pager, command};
use crate::config::Environment;
use crate::sql::Sink;

#[test]
fn the_pager_is_the_persons_own() {
    let check = |pager: Option<&str>, expect: &str| {
        let mut environment = Environment::default();
        if let Some(pager) = pager {
            environment.set("PAGER", pager);
        }
        assert_eq!(command(&environment), expect, "{pager:?}");
    };
    check(Some("more -d"), "more -d");
    check(Some(" "), "less -FRSX");
    check(None, "less -FRSX");
}

#[test]
fn a_pager_has_all_of_the_answer_when_it_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("shown");
    // Slow enough that who does not wait for it reads nothing.
    let command = format!("sleep 0.3; cat > '{}'", file.display());
    let mut pager = Pager::start(&command).expect("started");
    assert!(pager.write(b"one\n").expect("written"));
    assert!(pager.write(b"two\n").expect("written"));
    pager.finish().expect("an end");
    assert_eq!(std::fs::read(&file).expect("a file"), b"one\ntwo\n");
}

#[test]
fn a_pager_that_is_left_early_is_no_error() {
    let mut pager = Pager::start("exec 0<&-; exit 1").expect("started");
    let much = vec![b'x'; 1 << 20];
    assert!(!pager.write(&much).expect("no error"));
    pager.finish().expect("an end");
}

#[test]
fn a_pager_that_is_not_there_says_what_to_do() {
    // Also where so much is written that there is no reader before all is.
    for much in [1, 1 << 20] {
        let mut sink = Sink::pager("exec no-such-pager 2>/dev/null");
        let written = sink.write(&vec![b'x'; much]);
        let done = written.and_then(|_| sink.finish()).map(drop);
        let said = done.expect_err("no pager").text();
        assert!(said.contains("`\\pager off`"), "{said}");
    }
}
