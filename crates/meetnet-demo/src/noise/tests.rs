use super::*;

#[test]
fn values_depend_on_seed_stream_and_index_only() {
    let noise = Noise::new(7).stream(3);
    let forwards: Vec<u64> = (0..100).map(|i| noise.bits(i)).collect();
    let backwards: Vec<u64> = (0..100)
        .rev()
        .map(|i| Noise::new(7).stream(3).bits(i))
        .collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
    assert_ne!(Noise::new(8).stream(3).bits(0), noise.bits(0));
    assert_ne!(Noise::new(7).stream(4).bits(0), noise.bits(0));
}

#[test]
fn distributions_have_the_promised_shape() {
    let noise = Noise::new(1);
    let n = 100_000;
    let mean = |f: &dyn Fn(i64) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
    assert!((mean(&|i| noise.unit(i)) - 0.5).abs() < 0.005);
    assert!(mean(&|i| noise.normal(i)).abs() < 0.015);
    assert!((mean(&|i| noise.normal(i).powi(2)) - 1.0).abs() < 0.02);
    assert!((0..n).all(|i| (0.0..1.0).contains(&noise.unit(i))));
    assert!((0..n).all(|i| noise.position(i, 7) < 7));
    assert_eq!(noise.position(5, 0), 0);
}

#[test]
fn smooth_noise_is_continuous_also_before_1970() {
    let noise = Noise::new(2);
    for second in [-1_000_000_i64, -1, 0, 86_399, 1_700_000_000] {
        let step = noise.smooth(second + 1, 3_600) - noise.smooth(second, 3_600);
        assert!(step.abs() < 0.01, "jump of {step} at {second}");
    }
}
