//! Networks in tensors of f64 on the CPU.

use std::sync::OnceLock;

use actum::action::Engine;
use burn::tensor::{Device, DeviceConfig, FloatDType};

/// The CPU in f64. A device has one type of numbers for the whole process, so every test must come
/// here for it.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let mut device = Device::flex();
            device
                .configure(DeviceConfig::default().float_dtype(FloatDType::F64))
                .unwrap();
            device
        })
        .clone()
}

/// A built-in network with the same parameters, in tensors of f64.
pub fn in_f64(engine: Box<dyn Engine>) -> Box<dyn Engine> {
    actum::action::Device::from(device()).place(engine).unwrap()
}
