use std::time::Duration;

use super::{Backoff, FIRST};

#[test]
fn pauses_double_up_to_the_cap_and_start_again() {
    let max = Duration::from_secs(2);
    let mut backoff = Backoff::new(max);
    for step in [250, 500, 1_000, 2_000, 2_000] {
        let step = Duration::from_millis(step);
        let pause = backoff.pause();
        assert!(pause >= step / 2 && pause <= step, "{pause:?} of {step:?}");
    }
    backoff.reset();
    assert!(backoff.pause() <= FIRST);
}
