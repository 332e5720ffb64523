//! Where one process takes messages and answers questions, the threads that answer give way.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use meetnet_tests::daemon::{Daemon, Installation};

const SOURCE: &str = "[[source]]\nid = \"school\"\nkind = \"http\"\nformat = \"json\"\n\
     token = { env = \"MEETNET_TEST_TOKEN\" }\nsensor_id = { pointer = \"/id\" }\n\
     time = { pointer = \"/ts\", format = \"unix-ms\" }\nlicence = \"CC0-1.0\"\n\
     map = [{ dataset = \"air\", property = \"co2\", pointer = \"/n\", unit = \"[ppm]\" }]\n";

/// The threads of a process, its main one first: their names, and how nice each is. None where the system does not say.
fn threads(daemon: &Daemon) -> Option<Vec<(String, i32)>> {
    let folder = format!("/proc/{}/task", daemon.id());
    let mut tasks: Vec<u32> = fs::read_dir(&folder)
        .ok()?
        .flatten()
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect();
    tasks.sort_unstable_by_key(|task| (*task != daemon.id(), *task));
    let threads = tasks.into_iter().filter_map(|task| {
        // One that has ended meanwhile has no line.
        let stat = fs::read_to_string(format!("{folder}/{task}/stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let nice = fields.split_ascii_whitespace().nth(16)?.parse().ok()?;
        Some((name.to_owned(), nice))
    });
    Some(threads.collect())
}

/// How nice the threads are that answer, and the others, compared with the main one.
fn compared(threads: &[(String, i32)]) -> (Vec<i32>, Vec<i32>) {
    let main = threads[0].1;
    let (that_answer, others): (Vec<_>, Vec<_>) = threads
        .iter()
        .partition(|(name, _)| ["query", "answer"].contains(&name.as_str()));
    let nice = |threads: Vec<&(String, i32)>| {
        let mut nice: Vec<i32> = threads.iter().map(|(_, nice)| nice - main).collect();
        nice.sort_unstable();
        nice.dedup();
        nice
    };
    (nice(that_answer), nice(others))
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_that_answer_give_way_where_messages_are_taken() {
    let installation = Installation::new("", SOURCE).unwrap();
    let daemon = installation.start().await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let body = format!(r#"{{"id":"a","ts":{},"n":400}}"#, now.as_millis());
    let pushed = installation.push("school", body.into_bytes(), &[]);
    pushed.await.unwrap();
    installation
        .wait_for("SELECT count(*) FROM air", 1)
        .await
        .unwrap();
    let Some(found) = threads(&daemon) else {
        eprintln!("skipped: no /proc here");
        return;
    };
    // On Linux no thread is nicer than 19.
    let lowered = 10_i32.min(19 - found[0].1);
    assert_eq!(compared(&found), (vec![lowered], vec![0]), "{found:?}");
    for name in ["query", "answer"] {
        assert!(found.iter().any(|(of, _)| of == name), "{found:?}");
    }
    daemon.stop().unwrap();

    let daemon = installation.start_as("serve").await.unwrap();
    installation.cell("SELECT count(*) FROM air").await.unwrap();
    let found = threads(&daemon).unwrap();
    assert_eq!(compared(&found), (vec![0], vec![0]), "{found:?}");
}
