use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::{OF_CLIENT, QueryRoom, Rooms, opened};
use crate::client::{Client, Protocol};
use crate::error::QueryErrorKind;
use crate::keys::{ApiKey, KeyDigest, KeyLimits};
use crate::memory::{ALL_QUERIES, OF_QUERY, QueryMemory};
use crate::options::QueryOptions;

fn rooms() -> Rooms {
    Rooms::new(&QueryOptions {
        memory_bytes_max: 100,
        client_memory_bytes_max: 150,
        memory_total_bytes_max: 250,
        query_spill_bytes_max: 100,
        client_spill_bytes_max: 150,
        spill_bytes_max: 350,
        ..QueryOptions::default()
    })
}

fn at(address: &str) -> Client {
    Client::of_address(Protocol::Http, address.parse().ok())
}

fn holder(limits: KeyLimits) -> Client {
    let key = ApiKey {
        name: "university".into(),
        digest: KeyDigest::of("a long random key"),
        limits,
    };
    Client::of_key(Protocol::Http, Arc::new(key))
}

/// Begins to count the memory of one query.
fn query(room: &QueryRoom) -> MemoryReservation {
    let memory = QueryMemory::new(room.memory_bytes_max, Arc::clone(&room.client));
    let pool: Arc<dyn MemoryPool> = Arc::new(memory);
    MemoryConsumer::new("sort").register(&pool)
}

#[test]
fn queries_and_answers_of_one_client_share_its_memory_and_leave_some_to_others() {
    let rooms = rooms();
    let (greedy, other) = (rooms.of(&at("192.0.2.1")), rooms.of(&at("198.51.100.1")));
    // Another address of the same network.
    let same = rooms.of(&at("192.0.2.2"));
    let first = query(&greedy);
    first.try_grow(90).expect("within all limits");
    let own = first.try_grow(20).expect_err("over that of one query");
    assert!(!own.to_string().contains(OF_CLIENT), "{own}");
    let most = format!("{OF_QUERY}100 bytes, of which 90 bytes are taken, and 20 more");
    assert!(own.to_string().contains(&most), "{own}");
    let unread = same.client.answer();
    unread.try_grow(50).expect("within the room");
    let second = query(&same);
    let over = second.try_grow(20).expect_err("over the room");
    assert!(over.to_string().contains(OF_CLIENT), "{over}");
    // There is room for somebody else, until all is taken.
    let of_other = query(&other);
    of_other.try_grow(100).expect("its own room");
    let last = rooms.of(&at("203.0.113.1")).client.answer();
    let over = last.try_grow(20).expect_err("nothing is left");
    assert!(over.to_string().contains(ALL_QUERIES), "{over}");
    assert_eq!((first.size(), second.size(), last.size()), (90, 0, 0));
    drop(unread);
    second.try_grow(20).expect("what was unread is read");
    drop((first, second, of_other, last));
    assert_eq!(rooms.memory.reserved(), 0, "everything was given back");
}

#[test]
fn what_is_sorted_is_put_together_although_its_rows_have_all_memory() {
    let rooms = rooms();
    let room = rooms.of(&at("192.0.2.1"));
    let memory = QueryMemory::new(room.memory_bytes_max, Arc::clone(&room.client));
    let pool: Arc<dyn MemoryPool> = Arc::new(memory);
    let rows = MemoryConsumer::new("ExternalSorter[0]").register(&pool);
    rows.try_grow(100).expect("all that a query may have");
    rows.try_grow(1).expect_err("no more rows than that");
    for name in [
        "ExternalSorterMerge[0]",
        "SortPreservingMergeExec[0]",
        "RepartitionExec[Merge 0]",
    ] {
        let merge = MemoryConsumer::new(name).register(&pool);
        merge.try_grow(25).expect("a quarter more");
        let over = merge.try_grow(1).expect_err("no more than that");
        assert!(over.to_string().contains(OF_QUERY), "{over}");
        rows.try_grow(1).expect_err("nothing of it is for rows");
    }
    // Its client has no more just now.
    let unread = room.client.answer();
    unread.try_grow(45).expect("within the room");
    let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
    let over = merge.try_grow(25).expect_err("no room");
    assert!(over.to_string().contains(OF_CLIENT), "{over}");
    drop(unread);
    merge.try_grow(25).expect("room again");
    drop((rows, merge));
    assert_eq!(pool.reserved(), 0, "everything was given back");
    assert_eq!(rooms.memory.reserved(), 0, "everything was given back");
}

/// A part of a sort spills what it has, and cannot without any.
#[test]
fn each_part_of_a_sort_has_its_first_rows() {
    let rooms = rooms();
    let room = rooms.of(&at("192.0.2.1"));
    let memory = QueryMemory::new(room.memory_bytes_max, Arc::clone(&room.client));
    let pool: Arc<dyn MemoryPool> = Arc::new(memory);
    let of = |name: &str| MemoryConsumer::new(name).register(&pool);
    let greedy = of("ExternalSorter[0]");
    greedy.try_grow(100).expect("all that a query may have");
    let other = of("ExternalSorter[1]");
    other.try_grow(20).expect("its first rows");
    other.try_grow(1).expect_err("no second ones");
    let third = of("ExternalSorter[2]");
    third.try_grow(6).expect_err("more than a quarter more");
    of("HashJoinInput").try_grow(1).expect_err("of no sort");
    other.free();
    other.try_grow(20).expect("it has spilled");
}

#[test]
fn a_merge_for_which_there_never_is_room_is_too_large() {
    let rooms = rooms();
    // All that its client may have, and all that there is.
    for memory in [200, 250] {
        let room = rooms.of(&holder(KeyLimits {
            memory_bytes_max: Some(memory),
            ..KeyLimits::default()
        }));
        let memory_of_query = QueryMemory::new(room.memory_bytes_max, Arc::clone(&room.client));
        let pool: Arc<dyn MemoryPool> = Arc::new(memory_of_query);
        let rows = MemoryConsumer::new("ExternalSorter[0]").register(&pool);
        rows.try_grow(memory).expect("all that a query may have");
        let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
        let over = merge.try_grow(10).expect_err("no room");
        assert!(over.to_string().contains(OF_QUERY), "{over}");
        assert_eq!(pool.reserved(), memory, "nothing of it is taken");
        merge
            .try_grow(usize::MAX)
            .expect_err("more than any number of bytes");
    }
}

#[test]
fn temporary_files_of_one_client_are_bounded_together() {
    let rooms = rooms();
    let room = rooms.of(&at("192.0.2.1")).client;
    room.spill(150).expect("as many as it may have");
    let error = room.spill(1).expect_err("too many");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    room.removed(1);
    let other = rooms.of(&at("198.51.100.1")).client;
    other.spill(150).expect("of another");
    room.removed(150);
    room.spill(100).expect("there is room again");
}

#[test]
fn a_key_has_a_room_of_its_own_and_this_process_has_no_walls() {
    let rooms = rooms();
    let limits = |client: &Client| {
        let limits = rooms.limits.of(client);
        (
            limits.memory,
            limits.client_memory,
            limits.spill,
            limits.client_spill,
        )
    };
    assert_eq!(limits(&at("192.0.2.1")), (100, 150, 100, 150));
    assert_eq!(limits(&holder(KeyLimits::default())), (100, 150, 100, 150));
    let large = holder(KeyLimits {
        memory_bytes_max: Some(300),
        memory_total_bytes_max: Some(400),
        query_spill_bytes_max: Some(500),
        spill_bytes_max: Some(600),
        ..KeyLimits::default()
    });
    // No more than all have.
    assert_eq!(limits(&large), (250, 400, 350, 600));
    // One query may have all of its room, never more than that.
    let one = holder(KeyLimits {
        memory_bytes_max: Some(200),
        ..KeyLimits::default()
    });
    assert_eq!(limits(&one), (200, 200, 100, 150));
    assert_eq!(limits(&Client::own()), (100, usize::MAX, 100, u64::MAX));
}

#[test]
fn nothing_is_kept_of_who_has_left() {
    let rooms = rooms();
    let first = rooms.of(&at("192.0.2.1"));
    let second = rooms.of(&at("192.0.2.1"));
    assert!(Arc::ptr_eq(&first.client, &second.client));
    let answer = first.client.answer();
    drop((first, second));
    assert_eq!(opened(&rooms.open).len(), 1, "its answer is still there");
    drop(answer);
    assert!(opened(&rooms.open).is_empty());
}
