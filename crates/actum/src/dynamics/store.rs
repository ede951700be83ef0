//! Named arrays of a network, in memory and as safetensors.

use std::{collections::HashMap, path::Path as FilePath};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Tensor, TensorData},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    error::{Error, ErrorKind, Result, ensure},
    file,
    tensor::numbers,
};

/// One array of f32 numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Writes arrays and metadata to a safetensors file, whole or not at all.
pub(crate) fn write(path: &FilePath, arrays: &[Array], metadata: &[(&str, &str)]) -> Result<()> {
    let bytes: Vec<Vec<u8>> = arrays
        .iter()
        .map(|a| a.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = arrays.iter().zip(&bytes).map(|(a, bytes)| {
        let view = TensorView::new(Dtype::F32, a.shape.clone(), bytes)
            .expect("an array has as many numbers as its shape says");
        (a.name.as_str(), view)
    });
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let whole = safetensors::serialize(views, Some(metadata))
        .map_err(|cause| Error::new(ErrorKind::Io, "cannot lay out safetensors").because(cause))?;
    file::replace(path, |out| out.write_all(&whole))
}

/// Reads what [`write`] wrote.
pub(crate) fn read(path: &FilePath) -> Result<(Vec<Array>, HashMap<String, String>)> {
    let bytes = file::read(path)?;
    let broken = |cause: safetensors::SafeTensorError| {
        Error::new(
            ErrorKind::Format,
            format!("{} is not a whole safetensors file", path.display()),
        )
        .because(cause)
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let arrays = tensors
        .iter()
        .map(|(name, view)| {
            ensure!(
                view.dtype() == Dtype::F32,
                Format,
                "{}: expected f32 in `{name}`, got {:?}",
                path.display(),
                view.dtype()
            );
            Ok(Array {
                name: name.to_owned(),
                shape: view.shape().to_vec(),
                values: view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
            })
        })
        .collect::<Result<_>>()?;
    Ok((arrays, metadata))
}

/// The parameters of a network, by their place in it.
pub(crate) fn collect(network: &impl Module) -> Vec<Array> {
    struct Collect {
        path: Vec<String>,
        arrays: Vec<Array>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val().without_autodiff();
            self.arrays.push(Array {
                name: self.path.join("."),
                shape: tensor.dims().to_vec(),
                values: numbers(tensor),
            });
        }
    }
    let mut visitor = Collect {
        path: vec![],
        arrays: vec![],
    };
    network.visit(&mut visitor);
    visitor.arrays
}

/// The network with the parameters of `arrays`, found by name.
pub(crate) fn restore<A: Module>(network: A, arrays: &[Array], device: &Device) -> Result<A> {
    struct Restore<'a> {
        path: Vec<String>,
        arrays: &'a [Array],
        device: &'a Device,
        error: Option<Error>,
    }
    impl ModuleMapper for Restore<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join(".");
            let shape = param.dims().to_vec();
            match self.arrays.iter().find(|a| a.name == name) {
                Some(array) if array.shape == shape => {
                    let data = TensorData::new(array.values.clone(), shape);
                    let device = self.device;
                    param.map(|_| Tensor::from_data(data, device))
                }
                Some(array) => {
                    self.error = Some(Error::new(
                        ErrorKind::Shape,
                        format!("`{name}`: expected shape {shape:?}, got {:?}", array.shape),
                    ));
                    param
                }
                None => {
                    let names = self.arrays.iter().map(|a| &a.name);
                    self.error = Some(Error::missing(format!("the parameter `{name}`"), names));
                    param
                }
            }
        }
    }
    let mut mapper = Restore {
        path: vec![],
        arrays,
        device,
        error: None,
    };
    let network = network.map(&mut mapper);
    match mapper.error {
        Some(error) => Err(error),
        None => Ok(network),
    }
}
