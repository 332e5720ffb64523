use super::{ApiKey, ApiKeys, KeyDigest, KeyLimits, NoDigest};

/// `printf abc | sha256sum`
const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn key(name: &str, digest: &str) -> ApiKey {
    ApiKey {
        name: name.into(),
        digest: digest.parse().expect("a digest"),
        limits: KeyLimits::default(),
    }
}

#[test]
fn a_digest_is_what_sha256sum_writes() {
    let digest: KeyDigest = OF_ABC.parse().expect("a digest");
    assert!(digest.is(&KeyDigest::of("abc")));
    assert!(!digest.is(&KeyDigest::of("abd")));
    let upper: KeyDigest = OF_ABC.to_uppercase().parse().expect("a digest");
    assert!(digest.is(&upper));
    let long = format!("{OF_ABC}0");
    let letters = OF_ABC.replace('b', "g");
    for text in ["", &OF_ABC[1..], &long, &letters, &"é".repeat(32)] {
        assert_eq!(text.parse::<KeyDigest>().err(), Some(NoDigest), "{text}");
    }
    assert_eq!(format!("{digest:?}"), "KeyDigest(…)");
}

#[test]
fn only_the_key_itself_finds_its_holder() {
    let other = "0".repeat(64);
    let keys = ApiKeys::new([key("university", OF_ABC), key("other", &other)]);
    let found = keys.find("abc").expect("the key");
    assert_eq!(&*found.name, "university");
    for presented in ["", "ab", "abcd", "ABC", OF_ABC, &"abc".repeat(1000)] {
        assert!(keys.find(presented).is_none(), "{presented}");
    }
    assert!(keys.named("other").is_some() && keys.named("abc").is_none());
    assert!(ApiKeys::default().find("abc").is_none());
}
