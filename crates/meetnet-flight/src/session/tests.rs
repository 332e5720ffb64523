use super::*;

#[test]
fn only_what_is_so_anyway_can_be_set() {
    let check = |name: &str, text: &str, expected: Option<i32>| {
        let value = OptionValue {
            text: text.to_owned(),
        };
        let options = HashMap::from([(name.to_owned(), value)]);
        let answer = set(&Options { options }.encode_to_vec()).expect("an answer");
        let result = SetResult::decode(&*answer).expect("a result");
        let found = result.errors.get(name).map(|error| error.value);
        assert_eq!(found, expected, "{name} = {text}");
    };
    check("catalog", "meetnet", None);
    check("schema", "public", None);
    check("schema", "private", Some(INVALID_VALUE));
    check("schema", "", Some(INVALID_VALUE));
    check("search_path", "public", Some(INVALID_NAME));
    assert!(set(&[0xff]).is_err());
}

#[test]
fn messages_are_those_of_the_protocol() {
    // Written by hand from Flight.proto: entries of a map have the key as 1 and the value as 2.
    let request = b"\x0a\x13\x0a\x07catalog\x12\x08\x0a\x06nobody";
    let answer = set(request).expect("an answer");
    assert_eq!(answer, b"\x0a\x0d\x0a\x07catalog\x12\x02\x08\x02");
    assert_eq!(close(), b"\x08\x01");
    let options = Options::decode(&*get()).expect("options");
    assert_eq!(options.options["catalog"].text, "meetnet");
    assert_eq!(options.options["schema"].text, "public");
}
