//! Files as they come: packed, cut off, imported twice, resumed.

use std::fs::File;
use std::io::{Cursor, Read as _, Write};
use std::path::PathBuf;

use super::inputs::{Broken, Counted, HEAD_BYTES, Input};
use super::pieces::{Pieces, Split};
use super::*;

fn pieces(split: Split, text: &str) -> Vec<String> {
    let mut bytes = Cursor::new(text.as_bytes());
    let delimiter = (split == Split::Table).then_some(b';');
    let mut pieces = Pieces::cut(split, delimiter, "a file", &mut bytes);
    let mut found = Vec::new();
    while let Some(piece) = pieces.next().unwrap() {
        found.push(String::from_utf8(piece.to_vec()).unwrap());
    }
    found
}

#[test]
fn json_is_one_document_or_one_per_line() {
    let check = |text: &str, expect: &[&str]| {
        assert_eq!(pieces(Split::Json, text), expect, "{text:?}");
    };
    check("", &[]);
    check("\n \n", &[]);
    check("{\"a\":1}", &["{\"a\":1}"]);
    check("{\"a\":1}\n", &["{\"a\":1}\n"]);
    check("{\"a\":1}\n{\"a\":2}", &["{\"a\":1}\n", "{\"a\":2}"]);
    check(
        "\r\n{\"a\":1}\r\n\r\n{\"a\":\n",
        &["{\"a\":1}\r\n", "{\"a\":\n"],
    );
    check("{\n\"a\":1\n}\n", &["{\n\"a\":1\n}\n"]);
    check("[1,\n2]", &["[1,\n2]"]);
    check("not json\n{\"a\":1}", &["not json\n{\"a\":1}"]);
}

/// Of forms and archives: CSV, NDJSON and line protocol are told apart by their decoders.
#[test]
fn a_block_with_a_line_that_is_not_utf_8_is_torn() {
    let is_torn = |split: Split, bytes: &[u8]| {
        let mut bytes = Cursor::new(bytes);
        let mut pieces = Pieces::cut(split, None, "a file", &mut bytes);
        assert!(pieces.next().unwrap().is_some());
        pieces.is_torn()
    };
    assert!(is_torn(Split::Lines, b"a=1\nb=\xfc\n"));
    assert!(is_torn(Split::Table, b"id,t\na,\xfc\n"));
    assert!(!is_torn(Split::Table, b"id,\xfc\na,1\n"));
    assert!(!is_torn(Split::Lines, b"a=1\nb=2\n"));
}

/// Bytes, and an error behind them.
struct Ends(std::io::Error);

impl std::io::Read for Ends {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        let kind = self.0.kind();
        Err(std::mem::replace(&mut self.0, kind.into()))
    }
}

#[test]
fn the_lines_before_the_end_of_a_document_that_is_cut_are_read() {
    let check = |split: Split, text: &str, error: std::io::Error, expect: &[&str]| {
        let delimiter = (split == Split::Table).then_some(b';');
        let mut bytes = std::io::BufReader::new(text.as_bytes().chain(Ends(error)));
        let mut pieces = Pieces::cut(split, delimiter, "a file", &mut bytes);
        for piece in expect {
            assert_eq!(pieces.next().unwrap(), Some(piece.as_bytes()), "{text:?}");
        }
        assert!(pieces.next().is_err(), "{text:?}");
    };
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    check(Split::Lines, "1\n2\n3", cut(), &["1\n2\n"]);
    check(
        Split::Table,
        "a;b\n1;2\n3;4\n5;",
        cut(),
        &["a;b\n1;2\n3;4\n"],
    );
    check(Split::Table, "a;b\n1;2\n\"3\n4\";", cut(), &["a;b\n1;2\n"]);
    // Neither a line that is cut, nor a header alone.
    check(Split::Lines, "1", cut(), &[]);
    check(Split::Table, "a;b\n1;", cut(), &[]);
    // The next time there is more of it, under the number of this piece.
    let folder = tempfile::tempdir().unwrap();
    let not_given = || {
        let folder = File::open(folder.path()).unwrap();
        Counted::new(folder, Arc::default())
            .read(&mut [0])
            .unwrap_err()
    };
    check(Split::Lines, "1\n2\n3", not_given(), &[]);
    check(Split::Table, "a;b\n1;2\n3;4\n5;", not_given(), &[]);
}

#[test]
fn a_table_is_cut_between_records_and_each_block_has_the_header() {
    let check = |text: &str, expect: &[&str]| {
        assert_eq!(pieces(Split::Table, text), expect, "{text:?}");
    };
    check("", &[]);
    check("\n\n", &[]);
    check("\n\r\na;b\n1;2\n", &["a;b\n1;2\n"]);
    // A header without rows is for the decoder to judge, once.
    check("a;b\n", &["a;b\n"]);
    check("a;b", &["a;b"]);
    check("a;b\n1;2\n3;4", &["a;b\n1;2\n3;4"]);
    // Three lines, of which the first ends where a block is full.
    let row = "1;\"two\n\nlines\"\n";
    let rows = 30_000;
    // Before them nothing, or a quote that nobody closes: in a cell, and around one.
    for stray in ["", "5\" rain;2\n", "1;\"5 inch\n", "1;\"\"\"5\" wide;\"3\n"] {
        let table = format!("a;b\n{stray}{}", row.repeat(rows));
        let blocks = pieces(Split::Table, &table);
        assert!(blocks.len() > 1);
        let mut seen = 0;
        for (at, block) in blocks.iter().enumerate() {
            let records = block.strip_prefix("a;b\n").unwrap();
            let left = if at == 0 { stray } else { "" };
            assert_eq!(records.replace(row, ""), left);
            seen += records.matches(row).count();
        }
        assert_eq!(seen, rows);
    }
    let header = "\u{feff}\"a\nx\";b\n";
    let rows = "1;2\n".repeat(100_000);
    let blocks = pieces(Split::Table, &format!("{header}{rows}"));
    assert!(blocks.len() > 1);
    assert!(blocks.iter().all(|block| block.starts_with(header)));
    // A quote that is never closed takes the rest, and ends.
    check("a\n\"1\n2\n", &["a\n\"1\n2\n"]);
    // It does not make one piece of a large file.
    let rows = "1;2\n".repeat(300_000);
    let table = format!("a;b\n\"1;2\n{rows}");
    let blocks = pieces(Split::Table, &table);
    assert!(blocks.iter().all(|block| block.len() <= 2 * (256 << 10)));
    let behind = blocks
        .iter()
        .map(|block| block.strip_prefix("a;b\n").unwrap());
    assert_eq!(behind.collect::<String>(), table[4..]);
}

#[test]
fn lines_are_cut_wherever_one_ends() {
    let line = "air,node=7 pm10=12.5,note=\"it's 5\\\" wide\"\n";
    let text = line.repeat(20_000);
    let blocks = pieces(Split::Lines, &text);
    assert!(blocks.len() > 1);
    assert!(blocks.iter().all(|block| block.ends_with('\n')));
    assert_eq!(blocks.concat(), text);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Name behind the folder and content of each document.
fn documents(folder: &std::path::Path, inputs: &[Input]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let read = Arc::new(AtomicU64::new(0));
    for input in inputs {
        let visit = &mut |name: &str, bytes: &mut dyn std::io::BufRead| {
            let mut text = String::new();
            bytes.read_to_string(&mut text).unwrap();
            let prefix = format!("{}/", folder.display());
            found.push((name.strip_prefix(&prefix).unwrap().to_owned(), text));
            Ok(true)
        };
        let mut broken = Vec::new();
        assert!(input.documents(&read, &mut broken, visit).unwrap());
        assert!(broken.is_empty(), "{broken:?}");
    }
    let bytes: u64 = inputs.iter().map(Input::bytes).sum();
    assert!(read.load(Ordering::Relaxed) <= bytes);
    found
}

#[test]
fn files_are_found_and_unpacked_whatever_they_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("plain.json", b"plain");
    write("packed.json", &gzip(b"packed"));
    let twice = [gzip(b"one"), gzip(b" two")].concat();
    write("2026/members.gz", &twice);
    write(
        "2026/strong.zst",
        &zstd::encode_all(&b"strong"[..], 3).unwrap(),
    );
    let inner = gzip(b"inner");
    let archive = tar(&[
        ("a/b.csv", b"in a tar"),
        ("c.gz", &inner),
        ("a/.hidden", b"no"),
    ]);
    write("2026/month.tgz", &gzip(&archive));
    write("2026/.partial", b"hidden");
    write("empty", b"");
    let of = |paths: &[&str]| -> Vec<PathBuf> {
        paths.iter().map(|path| folder.path().join(path)).collect()
    };
    let check = |paths: &[&str], expect: &[(&str, &str)]| {
        let Found { inputs, broken } = find(&of(paths)).unwrap();
        assert!(broken.is_empty(), "{paths:?}: {broken:?}");
        let found = documents(folder.path(), &inputs);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        assert_eq!(found, expect, "{paths:?}");
    };
    check(&["plain.json"], &[("plain.json", "plain")]);
    check(
        &["plain.json", "plain.json", "pl*"],
        &[("plain.json", "plain")],
    );
    check(&["empty"], &[("empty", "")]);
    let year = [
        ("2026/members.gz", "one two"),
        ("2026/month.tgz:a/b.csv", "in a tar"),
        ("2026/month.tgz:c.gz", "inner"),
        ("2026/strong.zst", "strong"),
    ];
    check(&["2026"], &year);
    check(
        &["*.json"],
        &[("packed.json", "packed"), ("plain.json", "plain")],
    );
    let refused = |path: &str, expect: &str| {
        let said = find(&of(&[path])).unwrap_err().to_string();
        assert!(said.ends_with(expect), "`{said}` instead of `{expect}`");
    };
    refused("nothing", "nothing: no file there");
    refused("*.xml", "*.xml: no file there");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    write("a.csv", b"first");
    write("bomb", &gzip(&gzip(&gzip(&gzip(b"deep")))));
    write("cut.gz", &gzip(b"cut off")[..20]);
    let archive = tar(&[
        ("in.csv", b"whole"),
        ("in.gz", b"\x1f\x8bno"),
        ("z.csv", b"behind"),
    ]);
    write("m.tar", &archive);
    // In the middle of an entry, and in one of its blocks.
    let entries = tar(&[("in.csv", b"whole"), ("long.csv", &[b'x'; 2_000])]);
    write("n.tar", &entries[..512 + 512 + 512 + 700]);
    write("z.csv", b"last");
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();

    let Found { inputs, mut broken } = find(&[folder.path().to_path_buf()]).unwrap();
    let mut seen = Vec::new();
    for input in &inputs {
        let visit = &mut |name: &str, bytes: &mut dyn std::io::BufRead| {
            let mut all = Vec::new();
            let read = std::io::Read::read_to_end(bytes, &mut all);
            read.map_err(ImportError::io("read", name))?;
            seen.push(name.rsplit('/').next().unwrap().to_owned());
            Ok(true)
        };
        assert!(
            input
                .documents(&Arc::default(), &mut broken, visit)
                .unwrap()
        );
    }
    assert_eq!(
        seen,
        [
            "a.csv",
            "m.tar:in.csv",
            "m.tar:z.csv",
            "n.tar:in.csv",
            "z.csv"
        ]
    );
    let prefix = format!("{}/", folder.path().display());
    let named: Vec<&str> = broken
        .iter()
        .map(|Broken { path, .. }| path.strip_prefix(&prefix).unwrap())
        .collect();
    assert_eq!(
        named,
        [
            "dangling",
            "loop",
            "socket",
            "bomb",
            "cut.gz",
            "m.tar:in.gz",
            "n.tar:long.csv",
            "n.tar"
        ]
    );
    let problem = |name: &str| {
        let found = broken
            .iter()
            .find(|one| one.path == format!("{prefix}{name}"));
        found.unwrap().problem.as_str()
    };
    assert_eq!(problem("bomb"), "is packed more than 3 times");
    assert_eq!(problem("loop"), "leads back to a folder that it lies in");
    assert_eq!(problem("socket"), "is neither a file nor a folder");
    assert!(problem("n.tar:long.csv").ends_with("the archive ends within it"));
}

/// How a file is packed is known by its first 262 bytes; what is not there is no document.
#[test]
fn a_packed_file_that_is_cut_in_its_first_bytes_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    // Whole documents, and the bytes of all; then what is said of the first file.
    let read = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let behind = folder.path().join("z");
        std::fs::write(&behind, b"behind").unwrap();
        let Found { inputs, .. } = find(&[path.clone(), behind]).unwrap();
        let (mut whole, mut all) = (0, Vec::new());
        let mut broken = Vec::new();
        for input in &inputs {
            let visit = &mut |name: &str, bytes: &mut dyn std::io::BufRead| {
                let read = std::io::Read::read_to_end(bytes, &mut all);
                read.map_err(ImportError::io("read", name))?;
                whole += 1;
                Ok(true)
            };
            let read = input.documents(&Arc::default(), &mut broken, visit);
            assert!(read.unwrap(), "{name}");
        }
        std::fs::remove_file(&path).unwrap();
        let said: Vec<String> = broken
            .iter()
            .map(|one| {
                assert_eq!(one.path, path.display().to_string());
                one.problem.clone()
            })
            .collect();
        (whole, String::from_utf8_lossy(&all).into_owned(), said)
    };
    let check_cut = |name: &str, bytes: &[u8], expect: &str| {
        let (whole, _, said) = read(name, bytes);
        assert_eq!(whole, 1, "{name}, {} bytes", bytes.len());
        let said = said.join("; ");
        assert!(
            said.starts_with(expect),
            "{name}, {} bytes: {said}",
            bytes.len()
        );
    };
    let lines = "1;2\n3;4\n";
    let archive = tar(&[("2026/heat.csv", lines.as_bytes())]);
    for bytes in 1..HEAD_BYTES {
        let expect = format!("is cut off: there are {bytes} bytes of a tar archive");
        check_cut("m.tar", &archive[..bytes], &expect);
        check_cut("m.tgz", &gzip(&archive[..bytes]), &expect);
        // Its name says nothing, and the begin of it is one of a text until there are zeros.
        if bytes > "2026/heat.csv".len() + 1 {
            check_cut("m", &archive[..bytes], &expect);
        }
    }
    check_cut("m.tar", &archive[..HEAD_BYTES], "failed to unpack it: ");
    let packed = gzip(lines.as_bytes());
    check_cut(
        "m.gz",
        &packed[..1],
        "is cut off: there are 1 bytes of a file packed by gzip",
    );
    for bytes in 2..packed.len() {
        check_cut("m.gz", &packed[..bytes], "is cut off: ");
    }
    let packed = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    for bytes in 1..4 {
        let expect = format!("is cut off: there are {bytes} bytes of a file packed by zstd");
        check_cut("m.zst", &packed[..bytes], &expect);
    }
    for bytes in 4..packed.len() {
        check_cut("m.zst", &packed[..bytes], "is cut off: ");
    }
    // What stands before the cut is there to be read.
    let packed = gzip(lines.as_bytes());
    let (whole, all, said) = read("m.gz", &packed[..packed.len() - 4]);
    assert_eq!(
        (whole, all.as_str(), said.len()),
        (1, "1;2\n3;4\nbehind", 1)
    );
    // Short documents are whole, whatever is in them.
    for (name, text) in [
        ("a", "("),
        ("a.csv", "1;2\n"),
        ("a.json", "{}"),
        ("a.csv", "1;2\n\0\0\0\0"),
        ("a.json", "{\"t\": 1}\0\0\0"),
        ("a.csv", "a\0b\0c\0"),
        ("a.csv", "\0\0"),
        ("a", ""),
    ] {
        let (whole, all, said) = read(name, text.as_bytes());
        assert_eq!((whole, said), (2, Vec::new()), "{text:?}");
        assert_eq!(all, format!("{text}behind"));
    }
}

/// What it held counts in the id: were it left out now, what lies behind it would be missing once it is there again.
#[test]
fn a_file_that_could_be_read_and_no_longer_can_ends_the_import() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "row").unwrap();
    let Found { inputs, .. } = find(std::slice::from_ref(&path)).unwrap();
    let check = |expect: &str| {
        let mut broken = Vec::new();
        let visit = &mut |_: &str, _: &mut dyn std::io::BufRead| Ok(true);
        let read = inputs[0].documents(&Arc::default(), &mut broken, visit);
        let said = read.unwrap_err().to_string();
        assert!(said.starts_with(expect), "{said}");
        assert!(broken.is_empty(), "{broken:?}");
    };
    std::fs::remove_file(&path).unwrap();
    check("failed to open ");
    // It can be opened, and the system gives nothing of it.
    std::fs::create_dir(&path).unwrap();
    check("failed to read ");
}

#[test]
fn what_comes_on_stdin_is_called_so_wherever_it_has_been_put() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetnet-import-8KOBQU");
    std::fs::write(&path, "row").unwrap();
    let input = Input::of_stdin(path).unwrap();
    let mut seen = Vec::new();
    let visit = &mut |name: &str, _: &mut dyn std::io::BufRead| {
        seen.push(name.to_owned());
        Ok(true)
    };
    input
        .documents(&Arc::default(), &mut Vec::new(), visit)
        .unwrap();
    assert_eq!((seen, input.bytes()), (vec!["stdin".to_owned()], 3));
}

#[test]
fn a_place_of_which_nobody_knows_since_when_is_left_out() {
    let declarations = meetnet_model::schemas::builtin().into_declarations([]);
    let declaration = declarations.dataset("stations").unwrap();
    let mut builder = meetnet_model::rows::RowsBuilder::new(Arc::clone(declaration));
    let column = |name: &str| declaration.column_index(name).unwrap();
    for (piece, since) in [(0, Some(5)), (1, None), (2, Some(7))] {
        builder.set_text(column("id"), "a");
        match since {
            Some(since) => builder.set_int(column("valid_from"), since),
            None => builder.set_receive_time(column("valid_from"), 9),
        }
        builder.finish_row(piece).unwrap();
    }
    let kept = without_sightings(builder.take());
    assert_eq!(kept.batch.num_rows(), 2);
    assert_eq!(
        (kept.envelopes, kept.timeless),
        (vec![0, 2], vec![false; 2])
    );
}
