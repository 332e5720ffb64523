#![no_main]

use libfuzzer_sys::fuzz_target;
use meetnet_fuzz::harness;

fuzz_target!(|data: &[u8]| harness::run("csv", data));
