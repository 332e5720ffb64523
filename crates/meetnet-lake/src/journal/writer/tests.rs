use super::*;

#[test]
fn the_memory_of_a_burst_is_given_back_by_the_groups_after_it() {
    let mut bytes = vec![1; 64 * GROUP_BYTES_KEPT];
    // The burst itself may come again at once.
    bytes = emptied(bytes);
    assert!(bytes.is_empty() && bytes.capacity() >= 64 * GROUP_BYTES_KEPT);
    bytes.extend([1; 100]);
    bytes = emptied(bytes);
    assert!(
        bytes.capacity() <= 4 * GROUP_BYTES_KEPT,
        "{}",
        bytes.capacity()
    );
    let capacity = bytes.capacity();
    bytes.extend([1; 100]);
    assert_eq!(emptied(bytes).capacity(), capacity, "no give and take");
}
