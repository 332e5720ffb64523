//! The fuzz corpus, replayed without libFuzzer.

use std::path::Path;

use crate::harness::TARGETS;

#[test]
fn the_fuzz_corpus_replays() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    for (target, run) in TARGETS {
        let mut bodies = 0;
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            run(&std::fs::read(&path).unwrap());
            bodies += 1;
        }
        assert!(bodies >= 3, "the corpus of {target} is missing");
    }
}
