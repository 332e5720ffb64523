use super::*;

#[test]
fn a_pass_that_has_only_begun_is_no_position() {
    for time in [1_769_900_400_000_000, 1_769_900_400_000_001] {
        let (begun, done) = (begun(time), done(time));
        assert_eq!(through(begun), None);
        assert_eq!(through(done), Some(1_769_900_400_000_000));
        // What has begun at a time has overtaken what was done through it.
        assert!(begun > done);
    }
    assert_eq!(through(0), None);
}
