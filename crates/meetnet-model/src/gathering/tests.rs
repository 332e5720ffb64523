use super::*;

#[test]
fn rows_that_nobody_may_sell_count_by_an_agreement_only() {
    let check = |permission: Option<&str>, licence: &str, expect: bool| {
        let gathering = Gathering {
            cell: "h3_r9".to_owned(),
            bucket: Bucket::Hour,
            zone: None,
            grace_s: 0,
            permission: permission.map(str::to_owned),
            inputs: Vec::new(),
        };
        assert_eq!(gathering.takes(licence), expect, "{permission:?} {licence}");
    };
    for licence in ["CC0-1.0", "CC-BY-4.0", "ODbL-1.0", "LicenseRef-own"] {
        check(None, licence, true);
    }
    for licence in ["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"] {
        check(None, licence, false);
        check(Some(" "), licence, false);
        check(Some("letter of 2026-03-01"), licence, true);
    }
}
