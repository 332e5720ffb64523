use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_byte_is_found_where_it_first_stands(text in "[/0.\\\\ é]{0,30}", byte in prop::sample::select(b"/0.\\ ".to_vec())) {
        prop_assert_eq!(find(text.as_bytes(), byte), text.bytes().position(|other| other == byte));
    }

    #[test]
    fn what_can_be_printed_is_seen(text in prop_oneof!["[ -~]{0,30}", "[ -~]{0,20}[\\x00-\\x1f\\x7fé€]{0,1}[ -~]{0,20}"]) {
        let expect = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        prop_assert_eq!(is_printable(text.as_bytes()), expect);
    }
}
