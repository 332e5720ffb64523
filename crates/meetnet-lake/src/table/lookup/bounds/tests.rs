//! Pages by binary search against all pages one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::tests::{Key, Scene, rows, some_keys};
use super::*;
use crate::testing::{MINUTE, START, declaration};

#[test]
fn pages_of_each_key_are_those_that_looking_at_every_page_finds() {
    let declaration = declaration();
    let codec = KeyCodec::new(&declaration).unwrap();
    for seed in 0..300 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let count = rng.random_range(1..150);
        // Of few minutes: equal keys over several pages.
        let minutes = [3, 60][rng.random_range(0..2_usize)];
        let mut keys = some_keys(rng, count, 0..minutes);
        // Bounds hold whatever the order of the rows is.
        if rng.random_bool(0.7) {
            keys.sort();
        }
        let mut scene = Scene::of(vec![keys.clone()], true);
        let file = Arc::clone(&scene.files[0]);
        let footer = scene.reader.footer(&file).unwrap();
        let pages = &footer.pages;

        let unknown = some_keys(rng, 10, 0..minutes + 5);
        let known = keys.iter().filter(|_| rng.random_bool(0.1)).cloned();
        let asked: BTreeSet<Key> = known.chain(unknown).collect();
        let asked: Vec<Key> = asked.into_iter().collect();
        let bytes = codec.keys(&rows(&asked)).unwrap();
        let wanted: Vec<WantedKey<'_>> = asked
            .iter()
            .enumerate()
            .map(|(at, (.., minute))| WantedKey {
                key: bytes.row(at).data(),
                time: START + minute * MINUTE,
                seeks_newest: rng.random_bool(0.5),
            })
            .collect();
        let here: Vec<usize> = (0..wanted.len()).filter(|_| rng.random_bool(0.8)).collect();
        let sought = || -> Vec<Option<i64>> {
            let sought = wanted.iter();
            sought
                .map(|wanted| wanted.seeks_newest.then_some(wanted.time))
                .collect()
        };

        let (mut by_page, mut by_key, mut either) = (sought(), sought(), sought());
        let all = 0..pages.pages.len();
        let expected = pages.by_page(all, &codec, &wanted, &here, &mut by_page);
        let found = pages.by_key(&codec, &wanted, &here, &mut by_key);
        assert_eq!(found, expected, "seed {seed}");
        // What a page says by its bounds may be noted where its rows will say it, too.
        assert!(
            by_page.iter().zip(&by_key).all(|(page, key)| page <= key),
            "seed {seed}"
        );
        let ranges = pages.to_read(&codec, &wanted, &here, &mut either);
        assert_eq!(ranges, pages.rows_of(expected), "seed {seed}");
    }
}
