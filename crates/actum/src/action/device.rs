//! Where networks are computed.

use std::fmt;

use super::{Architecture, Engine, Precision};
use crate::{
    error::{Error, Result},
    machines::Machines,
};

/// Where networks are computed: on the CPU, or with the features `cuda`, `vulkan` or `metal` on a
/// GPU; and with which other processes a fit is shared.
#[derive(Clone, Default)]
pub struct Device {
    place: Place,
    machines: Machines,
}

#[derive(Clone, Default)]
enum Place {
    #[default]
    Cpu,
    #[cfg(feature = "tensor")]
    Tensors(crate::tensor::Device),
}

impl Device {
    /// The processor.
    pub fn cpu() -> Self {
        Self::default()
    }

    /// The device of a name: `cpu`, and `cuda`, `vulkan` or `metal` where the library was built
    /// with the feature of that name (the first that its driver lists is taken).
    ///
    /// # Errors
    /// A device that is not built in, or that this machine does not have.
    pub fn named(name: &str) -> Result<Self> {
        if name == "cpu" {
            return Ok(Self::cpu());
        }
        #[cfg(feature = "tensor")]
        let gpus = crate::tensor::GPUS;
        #[cfg(not(feature = "tensor"))]
        let gpus: &[&str] = &[];
        #[cfg(feature = "tensor")]
        if gpus.contains(&name) {
            return crate::tensor::gpu(name).map(Self::from);
        }
        Err(Error::missing(
            format!(
                "the device `{name}` (GPUs need a build with the feature cuda, vulkan or metal)"
            ),
            ["cpu"].iter().chain(gpus),
        ))
    }

    /// The same, in a fit that is shared with other processes.
    pub fn among(self, machines: Machines) -> Self {
        Self { machines, ..self }
    }

    /// The processes that share a fit.
    pub fn machines(&self) -> Machines {
        self.machines
    }

    /// The precision that a built-in network has there.
    pub(crate) fn precision(&self, network: &dyn Architecture, asked: Precision) -> Precision {
        match &self.place {
            Place::Cpu => network.precision(asked),
            #[cfg(feature = "tensor")]
            Place::Tensors(_) => Precision::F32,
        }
    }

    /// A built-in network there: on the CPU the engine as it is, elsewhere one of tensors with the
    /// same parameters.
    ///
    /// # Errors
    /// A network of the user's own, which is where it was made.
    pub fn place(&self, engine: Box<dyn Engine>) -> Result<Box<dyn Engine>> {
        match &self.place {
            Place::Cpu => Ok(engine),
            #[cfg(feature = "tensor")]
            Place::Tensors(device) => crate::tensor::place(&*engine, device),
        }
    }
}

#[cfg(feature = "tensor")]
impl From<crate::tensor::Device> for Device {
    fn from(device: crate::tensor::Device) -> Self {
        Self {
            place: Place::Tensors(device),
            machines: Machines::alone(),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.place {
            Place::Cpu => f.write_str("Device(cpu)"),
            #[cfg(feature = "tensor")]
            Place::Tensors(device) => write!(f, "Device({device:?})"),
        }
    }
}
