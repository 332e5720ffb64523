//! The push format of api.sensor.community: one POST per sensor of a box, whose value types lack the sensor's name. The
//! header X-PIN says which kind of sensor it is, so that `P1` is PM10 of a laser counter and a count of a PPD42NS.

use hashbrown::HashMap;

use crate::fields::Slot;

/// The pins and what their sensors are called in the names of value types; of several the first that has the name.
/// Without a name in front are the PPD42NS (5) and DHT22, HTU21D and SHT3X (7).
const PINS: [(&str, &[&str]); 9] = [
    ("1", &["SDS_", "SPS30_", "NPM_", "IPS_", "PMS_", "HPM_"]),
    ("3", &["BMP280_", "BMP_"]),
    ("5", &[]),
    ("7", &[]),
    ("9", &["GPS_"]),
    ("11", &["BME280_"]),
    ("13", &["DS18B20_"]),
    ("15", &["DNMS_"]),
    ("17", &["SCD30_"]),
];

/// Per pin, what its names without the sensor's mean: a slot, or nothing that makes a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins {
    by_pin: HashMap<&'static str, HashMap<Box<str>, Option<Slot>>>,
}

impl Pins {
    /// Takes the names off the known value types; what `is_declared` says to be the source's own is left to it.
    pub(super) fn of(
        value_types: &HashMap<Box<str>, Option<Slot>>,
        is_declared: impl Fn(&str) -> bool,
    ) -> Self {
        let by_pin = PINS.into_iter().map(|(pin, prefixes)| {
            let mut names = HashMap::new();
            for prefix in prefixes {
                for (value_type, slot) in value_types {
                    if let Some(name) = value_type.strip_prefix(prefix)
                        && !is_declared(name)
                    {
                        names.entry(name.into()).or_insert(*slot);
                    }
                }
            }
            (pin, names)
        });
        Self {
            by_pin: by_pin.collect(),
        }
    }

    /// Returns what a name means at a pin; none where it means nothing special there.
    pub(super) fn get(&self, pin: &str, name: &str) -> Option<Option<Slot>> {
        self.by_pin.get(pin.trim())?.get(name).copied()
    }
}
