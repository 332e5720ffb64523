//! A mapping that is wrong for some rows of a file: the daemon is killed while it imports, the file is imported again, the
//! mapping is mended, and every row is answered once.

use std::fmt::Write as _;
use std::fs;

use meetnet_tests::daemon::Installation;

/// Rows of the file: three chunks of an import.
const ROWS: i64 = 600_000;
/// One row in so many is of a logger that has its value in another column.
const EVERY: i64 = 1_000;
const REFUSED: i64 = ROWS / EVERY;
/// 2020-09-13, further back than a message may be that arrives.
const FIRST: i64 = 1_600_000_000;

fn source(mended: bool) -> String {
    let more = "  { dataset = \"heat\", property = \"air_temperature\", field = \"temp\", unit = \"Cel\" },\n";
    format!(
        "[[source]]\nid = \"loggers\"\nkind = \"files\"\nformat = \"csv\"\nsensor_id = {{ field = \"id\" }}\n\
         time = {{ field = \"at\", format = \"unix\" }}\nlicence = \"CC-BY-4.0\"\nmap = [\n\
         \x20 {{ dataset = \"heat\", property = \"air_temperature\", field = \"t\", unit = \"Cel\" }},\n{}]\n",
        if mended { more } else { "" }
    )
}

fn table() -> String {
    let mut text = "id,at,t,temp\n".to_owned();
    for row in 0..ROWS {
        let at = FIRST + row * 60;
        let values = if row % EVERY == 7 { ",21.5" } else { "20," };
        writeln!(text, "{},{at},{values}", row % 3).unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_an_import_refused_are_replayed_once() {
    let installation = Installation::new("", &source(false)).unwrap();
    let file = installation.folder().join("history.csv");
    fs::write(&file, table()).unwrap();
    let file = file.display().to_string();
    let import: [&str; 3] = ["import", "csv", &file];
    let count = "SELECT count(*) FROM heat";
    let daemon = installation.start().await.unwrap();
    let mut cut_off = installation.begin(&import).unwrap();
    installation.wait_for(count, 1).await.unwrap();
    daemon.kill().unwrap();
    // Mostly it was under way; what follows holds in any case.
    let _ = cut_off.wait().unwrap();

    let daemon = installation.start().await.unwrap();
    let said = installation.succeed(&import).unwrap();
    assert!(
        said.contains(&format!("{REFUSED} rejects: {REFUSED} no_mapped_value")),
        "{said}"
    );
    let good = ROWS - REFUSED;
    assert_eq!(installation.cell(count).await.unwrap(), good);
    let list = ["rejects", "list", "--summary", "--format", "csv"];
    let listed = format!("loggers,no_mapped_value,{REFUSED},{REFUSED},");
    let summary = installation.succeed(&list).unwrap();
    assert!(summary.contains(&listed), "{summary}");
    let said = installation.succeed(&import).unwrap();
    let nothing = format!("kept 0 refused messages, {REFUSED} known from before");
    assert!(said.contains(&nothing), "{said}");
    assert_eq!(installation.succeed(&list).unwrap(), summary);
    // Nothing is mended yet.
    let replay = ["rejects", "replay", "--source", "loggers"];
    let said = installation.succeed(&replay).unwrap();
    let unchanged = format!("replayed {REFUSED} messages: 0 of {REFUSED} rejects are resolved");
    assert!(said.starts_with(&unchanged), "{said}");
    daemon.stop().unwrap();

    let config = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&config).unwrap();
    let mended = text.replace(&source(false), &source(true));
    assert_ne!(mended, text);
    fs::write(&config, mended).unwrap();
    let daemon = installation.start().await.unwrap();
    let said = installation.succeed(&replay).unwrap();
    let resolved =
        format!("replayed {REFUSED} messages: {REFUSED} of {REFUSED} rejects are resolved");
    assert!(said.starts_with(&resolved), "{said}");
    assert_eq!(installation.cell(count).await.unwrap(), ROWS);
    // As old as an imported row is, and recorded now.
    let of_replay = "SELECT count(*) FROM heat WHERE value = 21.5 AND received_at = time AND recorded_at > time";
    assert_eq!(installation.cell(of_replay).await.unwrap(), REFUSED);
    // The file says nothing that is not there.
    let said = installation.succeed(&import).unwrap();
    assert!(
        said.contains("heat: 0 new, 0 revisions, 600,000 duplicates"),
        "{said}"
    );
    assert_eq!(installation.cell(count).await.unwrap(), ROWS);
    let open = installation.succeed(&list).unwrap();
    assert_eq!(open.trim_end().lines().count(), 1, "{open}");
    daemon.stop().unwrap();
    installation.succeed(&["check"]).unwrap();
}

/// A script that imports what another one has written must learn that it was nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_which_nothing_came_is_no_success() {
    let installation = Installation::new("", &source(false)).unwrap();
    let daemon = installation.start().await.unwrap();
    let import = |name: &str, content: &str| {
        let file = installation.folder().join(name);
        fs::write(&file, content).unwrap();
        let file = file.display().to_string();
        let output = installation.run(&["import", "csv", &file]).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.code(), said)
    };
    let check = |name: &str, content: &str, expect: &[&str]| {
        let (code, said) = import(name, content);
        assert_eq!(code, Some(1), "{name}: {said}");
        for part in expect {
            assert!(said.contains(part), "{name}: {said}");
        }
    };
    check(
        "empty.csv",
        "",
        &["nothing is in", "there is nothing in the files"],
    );
    check("blank.csv", "\n\n", &["there is nothing in the files"]);
    let refused = [
        "1 reject: 1 unexpected_shape",
        "the header has no column `id`",
    ];
    check("garbage.csv", "garbage\n", &refused);
    check("header.csv", "station,time,temperature\n", &refused);
    check("no-rows.csv", "id,at,t\n", &["1 reject: 1 no_observation"]);
    let (code, said) = import("row.csv", &format!("id,at,t\n1,{FIRST},20\n"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        installation
            .cell("SELECT count(*) FROM heat")
            .await
            .unwrap(),
        1
    );
    daemon.stop().unwrap();
}

/// Of years in which nobody read sensors here: how old the archive is, its source says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_before_2015_is_imported_where_that_is_declared() {
    let declared = format!(
        "{}time_window = {{ since = \"1998-03-01\" }}\n",
        source(false)
    );
    let installation = Installation::new("", &declared).unwrap();
    let daemon = installation.start().await.unwrap();
    // A value a month, and one of a clock that was not set.
    let mut text = "id,at,t\n1,7,20\n".to_owned();
    let first = 888_710_400;
    for month in 0..150_i64 {
        writeln!(text, "1,{},20", first + month * 30 * 86_400).unwrap();
    }
    let file = installation.folder().join("archive.csv");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let said = installation.succeed(&["import", "csv", &file]).unwrap();
    assert!(said.contains("heat: 150 new"), "{said}");
    assert!(said.contains("1 reject: 1 bad_time"), "{said}");
    let count = "SELECT count(*) FROM heat WHERE time >= TIMESTAMP '1998-03-01T00:00:00Z' \
                 AND time < TIMESTAMP '2011-01-01T00:00:00Z'";
    assert_eq!(installation.cell(count).await.unwrap(), 150);
    daemon.stop().unwrap();
    installation.succeed(&["check"]).unwrap();
}

/// In a file of several blocks, and where the number of cells is right whatever stands behind the quote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_that_is_never_closed_costs_its_own_row() {
    let installation = Installation::new("", &source(false)).unwrap();
    let daemon = installation.start().await.unwrap();
    let rows = 50_000;
    let mut text = "id,at,t,temp\n".to_owned();
    for row in 0..rows {
        let last = if row == 1 { "\"5 inch" } else { "" };
        writeln!(text, "1,{},20,{last}", FIRST + row * 60).unwrap();
    }
    let file = installation.folder().join("inches.csv");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let said = installation.succeed(&["import", "csv", &file]).unwrap();
    assert!(said.contains("1 reject: 1 malformed"), "{said}");
    assert!(
        said.contains("line 3 opens a quote that is not closed"),
        "{said}"
    );
    let count = |condition: &str| format!("SELECT count(*) FROM heat WHERE {condition}");
    let good = installation.cell(&count("value = 20")).await.unwrap();
    assert_eq!(good, rows - 1);
    let made_up = installation.cell(&count("value <> 20")).await.unwrap();
    assert_eq!(made_up, 0);
    daemon.stop().unwrap();
    installation.succeed(&["check"]).unwrap();
}

/// Takes out the file of a month in which two of three rows of an import lie, in a running daemon or without one.
async fn repaired(with_daemon: bool) {
    let installation = Installation::new("", &source(false)).unwrap();
    let file = installation.folder().join("history.csv");
    let later = FIRST + 40 * 86_400;
    let rows = format!("id,at,t\n1,{FIRST},20\n2,{FIRST},21\n1,{later},22\n");
    fs::write(&file, rows).unwrap();
    let file = file.display().to_string();
    let import: [&str; 3] = ["import", "csv", &file];
    let count = "SELECT count(*) FROM heat";
    let daemon = installation.start().await.unwrap();
    let said = installation.succeed(&import).unwrap();
    assert!(said.contains("heat: 3 new"), "{said}");
    let repair = || {
        let month = "heat/licence=CC-BY-4.0/superseded=false/month=2020-09";
        for entry in fs::read_dir(installation.lake().join(month)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let said = installation.succeed(&["check", "--repair"]).unwrap();
        assert!(said.contains("files were imported into heat"), "{said}");
    };
    if with_daemon {
        repair();
        // What it knows of the import survives it.
        daemon.kill().unwrap();
    } else {
        daemon.stop().unwrap();
        repair();
    }
    let daemon = installation.start().await.unwrap();
    assert_eq!(installation.cell(count).await.unwrap(), 1);
    let said = installation.succeed(&import).unwrap();
    let back = "heat: 2 new, 0 revisions, 1 duplicate, ";
    assert!(said.contains(back), "{said}");
    assert_eq!(installation.cell(count).await.unwrap(), 3);
    let said = installation.succeed(&import).unwrap();
    assert!(said.contains("3 rows came by an earlier run"), "{said}");
    assert_eq!(installation.cell(count).await.unwrap(), 3);
    daemon.stop().unwrap();
    installation.succeed(&["check"]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_brings_back_what_a_repair_has_taken_out() {
    repaired(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_brings_back_what_a_repair_has_taken_out_of_a_running_lake() {
    repaired(true).await;
}

/// A folder of files of which one is cut off, one is a link to nowhere and one leads back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broken_file_of_many_is_named_and_the_others_are_imported() {
    let installation = Installation::new("", &source(false)).unwrap();
    let daemon = installation.start().await.unwrap();
    let folder = installation.folder().join("history");
    fs::create_dir(&folder).unwrap();
    let rows = |id: &str| format!("id,at,t\n{id},{FIRST},20\n");
    fs::write(folder.join("a_good.csv"), rows("1")).unwrap();
    // The first bytes of a gzip file, and nothing behind them.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b];
    let broken = folder.join("m_broken.csv.gz");
    fs::write(&broken, packed).unwrap();
    fs::write(folder.join("z_good.csv"), rows("2")).unwrap();
    std::os::unix::fs::symlink(".", folder.join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
    let history = folder.display().to_string();
    let import = || {
        let output = installation.run(&["import", "csv", &history]).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let count = "SELECT count(*) FROM heat";
    for expect in ["heat: 2 new", "2 rows came by an earlier run"] {
        let (code, said, why) = import();
        assert_eq!(code, Some(1), "{said}{why}");
        assert!(said.contains(expect), "{said}{why}");
        for name in ["m_broken.csv.gz", "loop", "dangling"] {
            let named = format!("not read to the end: {history}/{name}: ");
            assert!(said.contains(&named), "{said}{why}");
        }
        assert!(why.contains("3 files could not be read"), "{said}{why}");
        assert_eq!(installation.cell(count).await.unwrap(), 2);
    }
    for name in ["loop", "dangling"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::write(&broken, rows("3")).unwrap();
    let (code, said, why) = import();
    assert_eq!(code, Some(0), "{said}{why}");
    let rest = "heat: 1 new, 0 revisions, 2 duplicates";
    assert!(said.contains(rest), "{said}{why}");
    assert_eq!(installation.cell(count).await.unwrap(), 3);
    daemon.stop().unwrap();
}
