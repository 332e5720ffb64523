//! Messages of devices that publish in formats of their own.

use super::{decoders, files, folder};
use crate::harness;

#[test]
fn generic_mqtt_samples_become_rows_or_rejects() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    for file in files(&samples.join("generic_mqtt"), "txt") {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let Some((topic, body)) = line.split_once(" = ") else {
                continue;
            };
            let body = body.split("   #").next().unwrap_or(body);
            for (name, target) in harness::TARGETS {
                if name != "mapping" {
                    target(body.as_bytes());
                }
            }
            let lenient = decoders(
                "format = 'json'\nlenient = true\ntopics = ['{device...}']\nsensor_id = '{device}'\n\
                 map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/temperature' } ]",
            );
            let made = harness::check(&lenient, topic.trim(), body.trim().as_bytes());
            assert_eq!(made.count(), 1, "{line}");
        }
    }
}
