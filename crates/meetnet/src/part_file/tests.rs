use std::fs;

use super::PartFile;

#[test]
fn a_file_has_its_name_when_it_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("air.csv");
    let part = folder.path().join("air.csv.part");
    let mut file = PartFile::create(&path).expect("a file");
    file.write(b"ab").expect("written");
    assert!(part.exists() && !path.exists());
    let written = file.finish().expect("finished");
    assert!(!part.exists());
    assert_eq!(fs::read(&path).expect("a file"), b"ab");
    assert_eq!(written.bytes, 2);
    let sha256 = "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603";
    assert_eq!(written.sha256, sha256);
}

#[test]
fn a_part_is_gone_on_with_or_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    let part = folder.path().join("x.part");
    fs::write(&part, "a").expect("a part");
    let mut file = PartFile::resume(&path).expect("a part");
    assert_eq!(file.bytes(), 1);
    file.write(b"b").expect("written");
    let written = file.finish().expect("finished");
    assert!(
        written.sha256.starts_with("fb8e20fc"),
        "the whole content is hashed"
    );
    assert_eq!(fs::read(&path).expect("a file"), b"ab");

    fs::write(&part, "left").expect("a part");
    let file = PartFile::create(&path).expect("a file");
    assert_eq!(file.bytes(), 0);
    let refused = file.finish_if(|_| Err(anyhow::anyhow!("wrong")));
    assert!(refused.is_err());
    assert!(!part.exists(), "what is wrong is not gone on with");
    assert_eq!(fs::read(&path).expect("a file"), b"ab");
}

#[test]
fn what_nobody_goes_on_with_leaves_no_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x");
    let part = folder.path().join("x.part");
    let mut file = PartFile::create(&path).expect("a file").whole_or_nothing();
    file.write(b"ab").expect("written");
    assert!(part.exists());
    drop(file);
    assert!(!part.exists() && !path.exists());

    let mut file = PartFile::create(&path).expect("a file").whole_or_nothing();
    file.write(b"ab").expect("written");
    file.finish().expect("finished");
    assert_eq!(fs::read(&path).expect("a file"), b"ab");
    assert!(!part.exists());

    drop(PartFile::resume(&path).expect("a part"));
    assert!(part.exists(), "a mirror goes on with it");
}
