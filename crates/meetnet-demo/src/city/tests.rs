use std::collections::HashSet;

use super::*;

#[test]
fn a_seed_makes_one_city() {
    let (one, again, other) = (City::new(7), City::new(7), City::new(8));
    assert_eq!(format!("{one:?}"), format!("{again:?}"));
    assert_ne!(one.air_sensors[0].chip_id, other.air_sensors[0].chip_id);
}

#[test]
fn ids_and_names_are_unique_and_places_in_town() {
    let city = City::new(1);
    assert_eq!(
        (
            city.segments.len(),
            city.air_sensors.len(),
            city.stations.len()
        ),
        (60, 80, 60)
    );
    assert!(city.segments.is_sorted_by(|a, b| a.id < b.id));

    let chips: HashSet<_> = city.air_sensors.iter().map(|s| &s.chip_id).collect();
    assert_eq!(chips.len(), AIR_SENSORS);
    let uplinks: HashSet<_> = city
        .stations
        .iter()
        .map(|s| format!("{:?}", s.uplink))
        .collect();
    assert_eq!(uplinks.len(), LORA_STATIONS + ZIGBEE_STATIONS);

    let sites = city
        .air_sensors
        .iter()
        .map(|s| &s.site)
        .chain(city.stations.iter().map(|s| &s.site));
    let places: Vec<_> = sites.map(|site| (&site.name, site.lon, site.lat)).collect();
    let mut names: HashSet<&String> = city.segments.iter().map(|s| &s.street).collect();
    names.extend(places.iter().map(|(name, _, _)| *name));
    assert_eq!(names.len(), 200);
    assert!(
        places
            .iter()
            .all(|(_, lon, lat)| LON_RANGE.contains(lon) && LAT_RANGE.contains(lat))
    );
}

#[test]
fn both_generations_of_counters_and_all_kinds_of_streets_occur() {
    let city = City::new(1);
    let kinds: HashSet<_> = city
        .segments
        .iter()
        .map(|s| format!("{:?}", s.road))
        .collect();
    assert_eq!(kinds.len(), 6);
    let hardware: HashSet<_> = city
        .segments
        .iter()
        .map(|s| format!("{:?}", s.hardware))
        .collect();
    assert_eq!(hardware.len(), 2);
}
