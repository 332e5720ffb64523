use super::pause;

#[test]
fn the_pause_doubles_up_to_the_longest() {
    let seconds = [1, 2, 3, 6, 7, 8, u32::MAX].map(|times| pause(times).as_secs());
    assert_eq!(seconds, [5, 10, 20, 160, 300, 300, 300]);
}
