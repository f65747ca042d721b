//! The calls that `nvml-wrapper` has not, or not with all their arguments.
#![expect(
    unsafe_code,
    reason = "calls of the vendor's C library with plain structs; each says why it is sound"
)]

use std::mem::size_of;
use std::os::raw::{c_int, c_uint};

use nvml_wrapper::Device;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings::{
    nvmlFieldValue_t, nvmlGpuFabricInfo_v2_t, nvmlGpuFabricInfo_v3_t, nvmlMarginTemperature_v1_t,
    nvmlRowRemapperHistogramValues_t,
};

use super::convert::{FieldAnswer, Renumbered, fabric_status};

/// A field and, where it is of one link, which; [`ALL_LINKS`] for the sum of all.
pub(super) type Wanted = (u32, u32);

/// The scope that sums a field over all NVLinks (`UINT_MAX` in nvml.h).
pub(super) const ALL_LINKS: u32 = u32::MAX;

/// nvml.h's `NVML_STRUCT_VERSION`: the size, and the version in the highest byte.
const fn versioned<T>(version: u32) -> u32 {
    size_of::<T>() as u32 | version << 24
}

/// Values of a batch, in its order: one call into the driver.
pub(super) fn field_values(
    device: &Device<'_>,
    renumbered: Renumbered,
    wanted: &[Wanted],
) -> Result<Vec<FieldAnswer>, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
    let mut values: Vec<nvmlFieldValue_t> = wanted
        .iter()
        .map(|(id, scope)| {
            // SAFETY: a plain struct of integers and a union of numbers, for all of which zero is a value.
            let mut value: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
            value.fieldId = renumbered.id(*id);
            value.scopeId = *scope;
            value
        })
        .collect();
    let count = c_int::try_from(values.len()).unwrap_or(c_int::MAX);
    // SAFETY: the handle is the device's own, the pointer is to `count` initialised values which outlive the call.
    nvml_try(unsafe { call(device.handle(), count, values.as_mut_ptr()) })?;
    let answer = |value: &nvmlFieldValue_t| FieldAnswer {
        code: value.nvmlReturn,
        value_type: value.valueType,
        // SAFETY: all eight bytes were zeroed above; the library wrote as many as the type has.
        bits: unsafe { value.value.ullVal },
    };
    Ok(values.iter().map(answer).collect())
}

/// The id of the GPU instance behind a MIG device's handle.
pub(super) fn gpu_instance_id(device: &Device<'_>) -> Result<u32, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetGpuInstanceId.as_ref())?;
    let mut id: c_uint = 0;
    // SAFETY: the handle is the device's own, the pointer is to a local that outlives the call.
    nvml_try(unsafe { call(device.handle(), &raw mut id) })?;
    Ok(id)
}

/// Degrees left before the GPU slows down. Driver 570 and later.
pub(super) fn margin_temperature(device: &Device<'_>) -> Result<f64, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetMarginTemperature.as_ref())?;
    let mut margin = nvmlMarginTemperature_v1_t {
        version: versioned::<nvmlMarginTemperature_v1_t>(1),
        marginTemperature: 0,
    };
    // SAFETY: as above; the version tells the library the struct's size.
    nvml_try(unsafe { call(device.handle(), &raw mut margin) })?;
    Ok(f64::from(margin.marginTemperature))
}

/// Memory banks by how many spare rows are left: all, most, some, few, none.
pub(super) fn remapper_histogram(device: &Device<'_>) -> Result<[f64; 5], NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetRowRemapperHistogram.as_ref())?;
    let mut banks = nvmlRowRemapperHistogramValues_t {
        max: 0,
        high: 0,
        partial: 0,
        low: 0,
        none: 0,
    };
    // SAFETY: as above.
    nvml_try(unsafe { call(device.handle(), &raw mut banks) })?;
    Ok([banks.max, banks.high, banks.partial, banks.low, banks.none].map(f64::from))
}

/// The GPU's place in the NVSwitch fabric (as DCGM numbers it), and the fabric's health mask.
pub(super) fn fabric(device: &Device<'_>) -> Result<(f64, f64), NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetGpuFabricInfoV.as_ref())?;
    // SAFETY: plain structs of integers and byte arrays, for all of which zero is a value.
    let mut third: nvmlGpuFabricInfo_v3_t = unsafe { std::mem::zeroed() };
    third.version = versioned::<nvmlGpuFabricInfo_v3_t>(3);
    // SAFETY: as above; the version tells the library the struct's size.
    if nvml_try(unsafe { call(device.handle(), &raw mut third) }).is_ok() {
        return Ok((
            fabric_status(third.state, third.status),
            f64::from(third.healthMask),
        ));
    }
    // SAFETY: as for the third version.
    let mut second: nvmlGpuFabricInfo_v2_t = unsafe { std::mem::zeroed() };
    second.version = versioned::<nvmlGpuFabricInfo_v2_t>(2);
    // SAFETY: the library takes a pointer to any version and writes no more than the size that the version names, which
    // is this struct's.
    nvml_try(unsafe { call(device.handle(), (&raw mut second).cast()) })?;
    Ok((
        fabric_status(second.state, second.status),
        f64::from(second.healthMask),
    ))
}
