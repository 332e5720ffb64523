use std::time::{Duration, Instant};

use super::RateLimit;

#[test]
fn a_burst_of_one_second_then_the_rate() {
    let start = Instant::now();
    let limit = RateLimit::new(2, start);
    assert_eq!(limit.take(start), Ok(()));
    assert_eq!(limit.take(start), Ok(()));
    assert_eq!(limit.take(start), Err(Duration::from_millis(500)));
    assert_eq!(limit.take(start + Duration::from_millis(500)), Ok(()));
    assert!(limit.take(start + Duration::from_millis(500)).is_err());
    // Idle time is not saved up beyond one second.
    let later = start + Duration::from_secs(3600);
    assert_eq!(
        [
            limit.take(later).is_ok(),
            limit.take(later).is_ok(),
            limit.take(later).is_ok()
        ],
        [true, true, false]
    );
}
