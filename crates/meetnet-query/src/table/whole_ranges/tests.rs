use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;

#[tokio::test]
async fn a_range_comes_whole_or_not_at_all() {
    let store = WholeRanges(InMemory::new());
    let path = Path::from("heat/file");
    store
        .put(&path, PutPayload::from_static(b"abcdef"))
        .await
        .expect("put");
    let range = store.get_range(&path, 2..4).await.expect("a range");
    assert_eq!(&range[..], b"cd");
    let ranges = store.get_ranges(&path, &[0..1, 4..6]).await;
    let ranges = ranges.expect("ranges");
    assert_eq!((&ranges[0][..], &ranges[1][..]), (&b"a"[..], &b"ef"[..]));
    let all = store.get(&path).await.expect("an object");
    assert_eq!(&all.bytes().await.expect("its bytes")[..], b"abcdef");

    // The store itself answers with what there is.
    let short = store.0.get_range(&path, 4..9).await.expect("less");
    assert_eq!(&short[..], b"ef");
    let error = store.get_range(&path, 4..9).await.expect_err("less");
    assert!(error.to_string().contains("unexpected end"), "{error}");
    let several = store.get_ranges(&path, &[0..1, 4..9]).await;
    several.expect_err("less");
}
