use super::*;

#[test]
fn picks_follow_the_shares() {
    let shares = FaultShares::default();
    assert_eq!(shares.pick(0.0), Some(Fault::Duplicate));
    assert_eq!(shares.pick(0.0105), Some(Fault::Late));
    assert_eq!(shares.pick(0.0155), Some(Fault::Truncated));
    assert_eq!(shares.pick(0.5), None);
    assert_eq!(FaultShares::NONE.pick(0.0), None);
    let sum: f64 = shares.shares().iter().map(|(_, share)| share).sum();
    assert!(sum < 0.05, "most messages are sound");
}

#[test]
fn delays_are_minutes_to_hours() {
    assert_eq!(delay_s(0.0), 300);
    assert!((21_000..=21_600).contains(&delay_s(0.999_999)));
}

#[test]
fn wrong_clocks_are_far_off() {
    for unit in [0.1, 0.5, 0.9] {
        let second = 1_780_000_000;
        assert!((wrong_clock(second, unit) - second).abs() > 86_400);
    }
}
